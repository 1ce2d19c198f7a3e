import { constants, createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { createSigner } from 'fast-jwt'
import fp from 'fastify-plugin'
import type { KeyObject, VerifyKeyObjectInput } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import type { SigningKey } from './keys.ts'

/** Half a second of work or less: what would have to wait for more is told to come back. */
const MOST_CHECKS = 4096

const NUMBER_BYTES = 32 // of each of the two that make an ES256 signature
/** RFC 7518, section 3.5: the salt is as long as the hash. */
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }

const DER_SEQUENCE = 0x30
const DER_INTEGER = 0x02

declare module 'fastify' {
  interface FastifyInstance {
    /** What signs and opens the tokens of one type, such as `at+jwt`. */
    signatures: (type: string) => Signatures
  }
}

/** A token is a compact JWS (RFC 7515) whose payload is JSON. */
export interface Signatures {
  /** Signs with the key that signs now. */
  sign: (claims: object) => string
  /**
   * What a token says, and the `kid` of the key that signed it. Undefined unless its header is to the letter what `sign` writes
   * for one of the service's keys, and the signature is that key's: nothing that an attacker writes into a header (`alg`,
   * `kid`, `jwk`, `crit`, …) is ever interpreted.
   * @throws the refusal `overloaded` when too many signatures are being checked already
   */
  open: (token: string) => Promise<{ claims: unknown, kid: string } | undefined>
}

type Check = (content: Buffer, signature: Buffer) => boolean | Promise<boolean>

/** With a callback Node checks in a thread of its pool, and the event loop goes on with other requests. */
const verifyApart = promisify<string | null, Buffer, KeyObject | VerifyKeyObjectInput, Buffer, boolean>(verify)

/** The one place that signs with the service's keys, and knows their signatures. */
const signatures: FastifyPluginAsync = async (fastify) => {
  const { keys, problem } = fastify
  const byType = new Map<string, Signatures>()
  let checks = 0

  function signaturesOf (type: string): Signatures {
    let made = madeOf(keys.all())

    /** What signs and what checks, made once for as long as the keys are the same. */
    function current () {
      const all = keys.all()
      if (all !== made.keys) made = madeOf(all)
      return made
    }

    function madeOf (all: readonly SigningKey[]) {
      const signers = new Map(all.map((key) => [key.kid, signerOf(key)]))
      const checkers = new Map(all.map((key) => [headerOf(signers.get(key.kid)!({})), { kid: key.kid, fits: checkOf(key) }]))
      return { keys: all, signers, checkers }
    }

    function signerOf ({ algorithm, kid, privateKey }: SigningKey) {
      return createSigner({ key: privateKey, algorithm, kid, header: { alg: algorithm, typ: type } })
    }

    return {
      sign (claims) {
        const { kid } = keys.current()
        return current().signers.get(kid)!(claims) // the key that signs is one of all
      },

      async open (token) {
        const header = headerOf(token)
        const content = token.slice(0, token.lastIndexOf('.'))
        const text = token.slice(content.length + 1)
        const check = current().checkers.get(header)
        if (!check) return undefined
        const signature = Buffer.from(text, 'base64url')
        if (signature.toString('base64url') !== text) return undefined

        if (checks >= MOST_CHECKS) throw problem('overloaded')
        checks++
        try {
          if (!await check.fits(Buffer.from(content), signature)) return undefined
        } finally {
          checks--
        }
        return { claims: parsed(content.slice(header.length + 1)), kid: check.kid }
      }
    }
  }

  fastify.decorate('signatures', (type) => {
    const signatures = byType.get(type) ?? signaturesOf(type)
    byType.set(type, signatures)
    return signatures
  })
}

function headerOf (token: string): string {
  return token.slice(0, token.indexOf('.'))
}

function checkOf ({ algorithm, publicKey }: SigningKey): Check {
  if (algorithm === 'HS256') return secretCheck(createSecretKey(publicKey, 'utf8'))
  const key = createPublicKey(publicKey)
  switch (algorithm) {
    case 'ES256': return (content, signature) => signature.length === 2 * NUMBER_BYTES && verifyApart('sha256', content, key, derOf(signature))
    case 'EdDSA': return (content, signature) => verifyApart(null, content, key, signature)
    case 'RS256': return (content, signature) => verifyApart('sha256', content, key, signature)
    case 'PS256': return (content, signature) => verifyApart('sha256', content, { key, ...PSS }, signature)
  }
}

function secretCheck (secret: KeyObject): Check {
  return (content, signature) => {
    const expected = createHmac('sha256', secret).update(content).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
}

/**
 * An ES256 signature, which is two numbers in a JWS (RFC 7518, section 3.4), as OpenSSL has it (RFC 3279, section 2.2.3).
 * Node can do that (`dsaEncoding`), but at the price of another key for each signature, made in the event loop.
 */
function derOf (signature: Buffer): Buffer {
  const numbers = Buffer.concat([derNumber(signature.subarray(0, NUMBER_BYTES)), derNumber(signature.subarray(NUMBER_BYTES))])
  return Buffer.concat([Buffer.of(DER_SEQUENCE, numbers.length), numbers])
}

/** Without zeros in front, save one where the first bit would make it negative. */
function derNumber (number: Buffer): Buffer {
  const first = number.findIndex((byte) => byte !== 0)
  const significant = number.subarray(first) // of nothing but zeros the last
  const sign = Buffer.alloc(significant[0]! >> 7) // there are NUMBER_BYTES of them
  return Buffer.concat([Buffer.of(DER_INTEGER, sign.length + significant.length), sign, significant])
}

/** Undefined for what is no JSON: only whoever has a key can send that. */
function parsed (payload: string): unknown {
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString())
  } catch {
    return undefined
  }
}

export default fp(signatures, { name: 'signatures', dependencies: ['keys', 'problem'] })
