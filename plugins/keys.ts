import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import fp from 'fastify-plugin'
import type { JsonWebKey } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import type { By } from './audit.ts'
import type { Config } from './config.ts'
import type { StoredKey } from './db.ts'

/** A leaked key signs whatever expiry a thief likes, so its end is remembered for longer than any verifier keeps a key. */
const BURNT_MILLISECONDS = 10 * 365 * 86_400_000

type Algorithm = Config['jwtAlgorithm']

declare module 'fastify' {
  interface FastifyInstance { keys: Keys }
}

export interface SigningKey {
  kid: string
  algorithm: Algorithm
  /** PEM; for HS256 the shared secret, in both. */
  privateKey: string
  publicKey: string
  /** Times in milliseconds since 1970. A key that has no successor yet does not retire. */
  signsFrom: number
  retiresAt: number | null
}

export interface Keys {
  /** The key that signs now. */
  current: () => SigningKey
  /** Every key whose signatures are accepted, and those that will sign later; another array whenever they have changed. */
  all: () => readonly SigningKey[]
  /** The public parts as a JWK set (RFC 7517), none for HS256; another object whenever they have changed. */
  jwks: () => { keys: JsonWebKey[] }
  /**
   * Publishes a new key that signs from `signsFrom` on; KEY_PREPUBLISH from now unless said otherwise. Gives its `kid`,
   * or that of the one that another process has just added.
   */
  rotate: (signsFrom?: number, by?: By) => Promise<string>
  /** Does that when the last key has come so near the end of KEY_ROTATION, and forgets the keys that have retired. */
  rotateWhenDue: () => Promise<void>
  /** Ends a leaked key at once; gives whether there was one of that `kid`. */
  burn: (kid: string, by?: By) => Promise<boolean>
}

/** The keys that tokens are signed with: made on the first start, kept in the database with their private parts sealed. */
const keys: FastifyPluginAsync = async (fastify) => {
  const { audit, config, db, masterKey, now } = fastify
  const { jwtAlgorithm, jwtSecret } = config
  const tokenLifetime = config.accessTokenTtlSeconds * 1000
  const rotation = config.keyRotationSeconds * 1000
  const prepublish = config.keyPrepublishSeconds * 1000

  let held: SigningKey[] = jwtSecret === undefined
    ? []
    : [{ kid: 'secret', algorithm: jwtAlgorithm, privateKey: jwtSecret, publicKey: jwtSecret, signsFrom: 0, retiresAt: null }]
  let published = { keys: [] as JsonWebKey[] }
  let lastRevision = -1

  function opened ({ kid, algorithm, publicKey, privateKey, signsFrom, retiresAt }: StoredKey): SigningKey {
    try {
      return { kid, algorithm: algorithm as Algorithm, publicKey, privateKey: masterKey.open(privateKey, kid), signsFrom, retiresAt } // only newKey writes an algorithm
    } catch (cause) {
      throw Object.assign(new Error('MASTER_KEY, or the file master.key beside the database, should be the key that this database was made with: restore it.', { cause }), { code: 'wrong_setting' })
    }
  }

  /** Reads the keys again when another process, or this one, may have changed them. */
  function all () {
    const revision = db.revision()
    if (jwtSecret !== undefined || revision === lastRevision) return held
    const stored = db.signingKeys.list()
    const isAsHeld = stored.length === held.length && stored.every(({ kid, signsFrom, retiresAt }, i) => kid === held[i]?.kid && signsFrom === held[i].signsFrom && retiresAt === held[i].retiresAt)
    if (!isAsHeld) {
      held = stored.map(opened)
      published = { keys: held.map(jwk) }
    }
    lastRevision = revision
    return held
  }

  function newKey (signsFrom: number) {
    const { privateKey, publicKey } = generate(jwtAlgorithm)
    const kid = thumbprint(publicKey)
    return { kid, algorithm: jwtAlgorithm, publicKey, privateKey: masterKey.seal(privateKey, kid), createdAt: now(), signsFrom }
  }

  async function rotate (signsFrom = now() + prepublish, by: By = 'service') {
    const key = newKey(signsFrom)
    const last = all().at(-1)
    await db.signingKeys.add(key, last?.kid, tokenLifetime, audit.note(by, (isAdded) => isAdded && last
      ? { event: 'key_added', target: key.kid, details: { signsFrom: new Date(signsFrom).toISOString() } }
      : undefined))
    return all().at(-1)!.kid // there is one now, whoever added it
  }

  fastify.decorate('keys', {
    all,
    rotate,
    current: () => db.signingKeys.signingAt(now(), all()), // one is made at the start, and burn leaves one
    jwks () {
      all()
      return published
    },

    async rotateWhenDue () {
      const last = all().at(-1)
      if (jwtSecret !== undefined || !last) return
      const endsAt = last.signsFrom + rotation
      if (endsAt - prepublish <= now()) await rotate(Math.max(endsAt, now() + prepublish))
      await db.signingKeys.prune(now())
    },

    burn: (kid, by = 'service') => db.signingKeys.burn(kid, newKey(now()), now() + BURNT_MILLISECONDS, now(), audit.note(by, { event: 'key_burnt', target: kid }))
  })

  if (jwtSecret === undefined && all().at(-1)?.algorithm !== jwtAlgorithm) await rotate(now())
}

/** A new key pair as PEM. */
function generate (algorithm: Algorithm) {
  const { privateKey, publicKey } = algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : algorithm === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 3072 })
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString()
  }
}

function jwk ({ kid, algorithm, publicKey }: SigningKey): JsonWebKey {
  return { ...createPublicKey(publicKey).export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' }
}

/** RFC 7638: the hash of the public members that make the key, in alphabetical order. */
function thumbprint (publicKey: string): string {
  const members = Object.entries(createPublicKey(publicKey).export({ format: 'jwk' })).sort(([a], [b]) => a < b ? -1 : 1)
  return createHash('sha256').update(JSON.stringify(Object.fromEntries(members))).digest('base64url')
}

export default fp(keys, { name: 'keys', dependencies: ['audit', 'clock', 'config', 'db', 'master-key'] })
