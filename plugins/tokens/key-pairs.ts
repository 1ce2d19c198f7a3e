import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import type { Config } from '../core/config/index.ts'

export type Algorithm = Config['jwtAlgorithm']

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

/** A new key pair as PEM. */
export function generateKeyPair (algorithm: Algorithm) {
  const { privateKey, publicKey } = algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : algorithm === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 3072 })
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString()
  }
}

/** The public part as a JWK (RFC 7517). */
export function toJwk ({ kid, algorithm, publicKey }: SigningKey): JsonWebKey {
  return { ...createPublicKey(publicKey).export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' }
}

/** RFC 7638: the hash of the public members that make the key, in alphabetical order. */
export function thumbprint (publicKey: string): string {
  const members = Object.entries(createPublicKey(publicKey).export({ format: 'jwk' })).sort(([a], [b]) => a < b ? -1 : 1)
  return createHash('sha256').update(JSON.stringify(Object.fromEntries(members))).digest('base64url')
}
