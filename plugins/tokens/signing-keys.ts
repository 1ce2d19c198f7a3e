import fp from 'fastify-plugin'
import { generateKeyPair, thumbprint, toJwk } from './key-pairs.ts'
import type { JsonWebKey } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import type { Actor } from '../core/audit.ts'
import type { StoredKey } from '../core/database.ts'
import type { Algorithm, SigningKey } from './key-pairs.ts'

/** A leaked key signs whatever expiry a thief likes, so its end is remembered for longer than any verifier keeps a key. */
const REVOKED_MILLISECONDS = 10 * 365 * 86_400_000
const ROTATE_INTERVAL_MILLISECONDS = 60_000
const LOOK_MILLISECONDS = 1000
const WRONG_MASTER_KEY = 'MASTER_KEY, or the file master.key beside the database, is not the key of this database. Restore it.'

declare module 'fastify' {
  interface FastifyInstance { signingKeys: SigningKeys }
}

export interface SigningKeys {
  /** The key that signs now. */
  current: () => SigningKey
  /** Every key whose signatures are accepted, and those that will sign later. Another array whenever they have changed. */
  all: () => readonly SigningKey[]
  /** The public parts as a JWK set (RFC 7517), none for HS256. Another object whenever they have changed. */
  jwks: () => { keys: JsonWebKey[] }
  /**
   * Publishes a new key that signs from `signsFrom` on; KEY_PREPUBLISH from now unless said otherwise. Gives its `kid`,
   * or the `kid` of the one that another process has just added.
   */
  rotate: (signsFrom?: number, actor?: Actor) => Promise<string>
  /** Rotates when the last key comes near the end of KEY_ROTATION, and forgets the keys that have retired. */
  rotateWhenDue: () => Promise<void>
  /**
   * Asks a database that other machines share for keys that are not known here yet, once a second at most. Gives false when it
   * did not.
   */
  lookAgain: () => Promise<boolean>
  /** Revokes a leaked key at once. Gives false when there is no key of that `kid`. */
  revoke: (kid: string, actor?: Actor) => Promise<boolean>
}

/** The keys that tokens are signed with: made by the service, kept in the database with their private parts sealed. */
const signingKeys: FastifyPluginAsync<{ isMaker?: boolean }> = async (fastify, { isMaker = true }) => {
  const { audit, config, db, forgetBefore, jobs, masterKey, now, serviceState, uptime } = fastify
  const { jwtAlgorithm, jwtSecret } = config
  const tokenLifetime = config.accessTokenTtlSeconds * 1000
  const rotation = config.keyRotationSeconds * 1000
  const prepublish = config.keyPrepublishSeconds * 1000

  let keys: SigningKey[] = jwtSecret === undefined ? [] : [toSecretKey(jwtSecret)]
  let lastLook = -Infinity
  let jwks = { keys: [] as JsonWebKey[] }

  function decryptKey ({ kid, algorithm, publicKey, privateKey, signsFrom, retiresAt }: StoredKey): SigningKey {
    try {
      const common = { kid, publicKey, signsFrom, retiresAt }
      return { ...common, algorithm: algorithm as Algorithm, privateKey: masterKey.open(privateKey, kid) } // createKey wrote the algorithm
    } catch (cause) {
      throw Object.assign(new Error(WRONG_MASTER_KEY, { cause }), { code: 'wrong_setting' })
    }
  }

  function learn (stored: StoredKey[]) {
    if (jwtSecret !== undefined || areSame(stored, keys)) return
    keys = stored.map(decryptKey)
    jwks = { keys: keys.map(toJwk) }
  }

  /** The keys, as this process or another has changed them last. */
  function all () {
    db.news.revision() // it tells of changes first
    return keys
  }

  function createKey (signsFrom: number) {
    const { privateKey, publicKey } = generateKeyPair(jwtAlgorithm)
    const kid = thumbprint(publicKey)
    return { kid, algorithm: jwtAlgorithm, publicKey, privateKey: masterKey.seal(privateKey, kid), createdAt: now(), signsFrom }
  }

  async function rotate (signsFrom = now() + prepublish, actor: Actor = 'service') {
    const key = createKey(signsFrom)
    const last = all().at(-1)
    const retiresAt = Math.max(signsFrom + tokenLifetime, await serviceState.tokensExpireBy())
    await db.signingKeys.add(key, last?.kid, retiresAt, audit.entry(actor, (isAdded) => isAdded && last
      ? { event: 'key_added', target: key.kid, details: { signsFrom: new Date(signsFrom).toISOString() } }
      : undefined))
    learn(await db.signingKeys.list())
    return keys.at(-1)!.kid // there is one now, whoever added it
  }

  async function rotateWhenDue () {
    const last = all().at(-1)
    if (jwtSecret !== undefined || !last) return
    const endsAt = last.signsFrom + rotation
    if (endsAt - prepublish <= now()) await rotate(Math.max(endsAt, now() + prepublish))
    await db.signingKeys.prune(forgetBefore())
  }

  function revoke (kid: string, actor: Actor = 'service') {
    const revocation = { successor: createKey(now()), until: now() + REVOKED_MILLISECONDS, now: now(), signingAt }
    return db.signingKeys.revoke(kid, revocation, audit.entry(actor, { event: 'key_revoked', target: kid }))
  }

  async function lookAgain () {
    if (!db.isShared || uptime() - lastLook < LOOK_MILLISECONDS) return false
    lastLook = uptime()
    await db.news.freshen()
    return true
  }

  function publicKeys () {
    all()
    return jwks
  }

  learn(await db.signingKeys.list())
  db.news.follow({ keysChanged: learn })
  if (isMaker && jwtSecret === undefined && all().at(-1)?.algorithm !== jwtAlgorithm) await rotate(now())
  if (isMaker && all().some(({ signsFrom }) => signsFrom > now())) await db.signingKeys.postponeRetirement(tokenLifetime, now())
  jobs.every(ROTATE_INTERVAL_MILLISECONDS, 'rotate-signing-keys', rotateWhenDue)
  const current = () => signingAt(now(), all())
  fastify.decorate('signingKeys', { all, current, jwks: publicKeys, rotate, rotateWhenDue, revoke, lookAgain })
}

/** The key that signs at a time; the first, if the clock was set back to before it. There is one as soon as the service has started. */
function signingAt<Key extends { signsFrom: number }> (time: number, keys: readonly Key[]): Key {
  return keys.findLast(({ signsFrom }) => signsFrom <= time) ?? keys[0]!
}

function toSecretKey (secret: string): SigningKey {
  return { kid: 'secret', algorithm: 'HS256', privateKey: secret, publicKey: secret, signsFrom: 0, retiresAt: null }
}

function areSame (stored: StoredKey[], keys: SigningKey[]): boolean {
  return stored.length === keys.length && stored.every(({ kid, signsFrom, retiresAt }, i) => {
    const key = keys[i]! // there are as many
    return kid === key.kid && signsFrom === key.signsFrom && retiresAt === key.retiresAt
  })
}

export default fp(signingKeys, {
  name: 'signing-keys',
  dependencies: ['audit', 'clock', 'config', 'database', 'forgetting', 'jobs', 'master-key', 'service-state']
})
