import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import fp from 'fastify-plugin'
import type { JsonWebKey } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import type { Config } from './config.ts'

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
}

export interface Keys {
  /** The key that signs. */
  current: SigningKey
  /** Every key whose signatures are accepted. */
  all: SigningKey[]
  /** The public parts as a JWK set (RFC 7517); none for HS256, which has no public part. */
  jwks: { keys: JsonWebKey[] }
}

/** The keys that tokens are signed with: made on the first start, kept in the database with their private parts sealed. */
const keys: FastifyPluginAsync = async (fastify) => {
  const { config: { jwtAlgorithm, jwtSecret }, db, masterKey, now } = fastify
  const { signingKeys } = db

  function newKey () {
    const { privateKey, publicKey } = generate(jwtAlgorithm)
    const kid = thumbprint(publicKey)
    return { kid, algorithm: jwtAlgorithm, publicKey, privateKey: masterKey.seal(privateKey, kid), createdAt: now() }
  }

  async function storedKeys (): Promise<SigningKey[]> {
    const stored = await signingKeys.list()
    const hasOne = stored.some(({ algorithm }) => algorithm === jwtAlgorithm)
    const kept = hasOne ? stored : await signingKeys.addFirst(newKey())
    return kept.map(({ kid, algorithm, publicKey, privateKey }) => ({
      kid,
      algorithm: algorithm as Algorithm, // only newKey writes it
      publicKey,
      privateKey: opened(privateKey, kid)
    }))
  }

  function opened (sealed: Buffer, kid: string): string {
    try {
      return masterKey.open(sealed, kid)
    } catch (cause) {
      throw Object.assign(new Error('MASTER_KEY, or the file master.key beside the database, should be the key that this database was made with: restore it.', { cause }), { code: 'wrong_setting' })
    }
  }

  const all = jwtSecret === undefined
    ? await storedKeys()
    : [{ kid: 'secret', algorithm: jwtAlgorithm, privateKey: jwtSecret, publicKey: jwtSecret }]

  fastify.decorate('keys', {
    current: all.find(({ algorithm }) => algorithm === jwtAlgorithm)!, // storedKeys has made one
    all,
    jwks: { keys: all.filter(({ algorithm }) => algorithm !== 'HS256').map(jwk) }
  })
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

export default fp(keys, { name: 'keys', dependencies: ['clock', 'config', 'db', 'master-key'] })
