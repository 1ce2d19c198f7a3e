import { constants, createHmac, createPrivateKey, createPublicKey, createSecretKey, sign, timingSafeEqual, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { derToJose, joseToDer } from 'ecdsa-sig-formatter'
import type { KeyObject, VerifyKeyObjectInput } from 'node:crypto'
import type { SigningKey } from './key-pairs.ts'

const ES256_BYTES = 64

/** Node's parameters for each algorithm (RFC 7518, section 3; RFC 8037). A PS256 salt is as long as the hash. */
const ALGORITHMS = {
  ES256: { digest: 'sha256' },
  RS256: { digest: 'sha256' },
  PS256: { digest: 'sha256', padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  EdDSA: { digest: null }
} as const

/** An algorithm with one key. */
export interface Scheme {
  makeSignature: (content: Buffer) => Buffer
  verifySignature: (content: Buffer, signature: Buffer) => boolean | Promise<boolean>
}

/** With a callback Node verifies in a thread of its pool, and the event loop goes on with other requests. */
const verifyInThread = promisify<string | null, Buffer, VerifyKeyObjectInput, Buffer, boolean>(verify)

/** Signs and verifies with one key. */
export function toScheme ({ algorithm, privateKey, publicKey }: SigningKey): Scheme {
  if (algorithm === 'HS256') return toSecretScheme(createSecretKey(privateKey, 'utf8'))
  const { digest, ...options } = ALGORITHMS[algorithm]
  const [ownKey, publicPart] = [{ key: createPrivateKey(privateKey), ...options }, { key: createPublicKey(publicKey), ...options }]
  const scheme: Scheme = {
    makeSignature: (content) => sign(digest, content, ownKey),
    verifySignature: (content, signature) => verifyInThread(digest, content, publicPart, signature)
  }
  return algorithm === 'ES256' ? toJoseScheme(scheme) : scheme
}

/**
 * An ES256 signature is two numbers, not OpenSSL's DER (RFC 7518, section 3.4). Node can convert too (`dsaEncoding`), but
 * takes 25 µs of the event loop for it, a sixth of a refresh.
 */
function toJoseScheme ({ makeSignature, verifySignature }: Scheme): Scheme {
  return {
    makeSignature: (content) => Buffer.from(derToJose(makeSignature(content), 'ES256'), 'base64url'),
    verifySignature: (content, signature) => signature.length === ES256_BYTES && verifySignature(content, joseToDer(signature, 'ES256'))
  }
}

function toSecretScheme (secret: KeyObject): Scheme {
  const makeSignature = (content: Buffer) => createHmac('sha256', secret).update(content).digest()
  return {
    makeSignature,
    verifySignature (content, signature) {
      const expected = makeSignature(content)
      return signature.length === expected.length && timingSafeEqual(signature, expected)
    }
  }
}
