import { constants, createHmac, createPrivateKey, createPublicKey, createSecretKey, sign, timingSafeEqual, verify } from 'node:crypto'
import { promisify } from 'node:util'
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
const DER_NUMBER_AT = 4 // behind two types and two lengths

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

/** What an algorithm does with a key (RFC 7518, section 3; RFC 8037). */
interface Scheme {
  make: (content: Buffer) => Buffer
  fits: (content: Buffer, signature: Buffer) => boolean | Promise<boolean>
}

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
      const schemes = all.map((key) => ({ kid: key.kid, header: encoded({ alg: key.algorithm, typ: type, kid: key.kid }), ...schemeOf(key) }))
      return { keys: all, byKid: new Map(schemes.map((scheme) => [scheme.kid, scheme])), byHeader: new Map(schemes.map((scheme) => [scheme.header, scheme])) }
    }

    return {
      sign (claims) {
        const { kid } = keys.current()
        const { header, make } = current().byKid.get(kid)! // the key that signs is one of all
        const content = `${header}.${encoded(claims)}`
        return `${content}.${make(Buffer.from(content)).toString('base64url')}`
      },

      async open (token) {
        const header = token.slice(0, token.indexOf('.'))
        const content = token.slice(0, token.lastIndexOf('.'))
        const text = token.slice(content.length + 1)
        const scheme = current().byHeader.get(header)
        if (!scheme) return undefined
        const signature = Buffer.from(text, 'base64url')
        if (signature.toString('base64url') !== text) return undefined

        if (checks >= MOST_CHECKS) throw problem('overloaded')
        checks++
        try {
          if (!await scheme.fits(Buffer.from(content), signature)) return undefined
        } finally {
          checks--
        }
        return { claims: parsed(content.slice(header.length + 1)), kid: scheme.kid }
      }
    }
  }

  fastify.decorate('signatures', (type) => {
    const signatures = byType.get(type) ?? signaturesOf(type)
    byType.set(type, signatures)
    return signatures
  })
}

function encoded (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function schemeOf ({ algorithm, privateKey, publicKey }: SigningKey): Scheme {
  if (algorithm === 'HS256') return secretScheme(createSecretKey(privateKey, 'utf8'))
  const [own, known] = [createPrivateKey(privateKey), createPublicKey(publicKey)]
  switch (algorithm) {
    case 'ES256': return {
      make: (content) => numbersOf(sign('sha256', content, own)),
      fits: (content, signature) => signature.length === 2 * NUMBER_BYTES && verifyApart('sha256', content, known, derOf(signature))
    }
    case 'EdDSA': return {
      make: (content) => sign(null, content, own),
      fits: (content, signature) => verifyApart(null, content, known, signature)
    }
    case 'RS256': return {
      make: (content) => sign('sha256', content, own),
      fits: (content, signature) => verifyApart('sha256', content, known, signature)
    }
    case 'PS256': return {
      make: (content) => sign('sha256', content, { key: own, ...PSS }),
      fits: (content, signature) => verifyApart('sha256', content, { key: known, ...PSS }, signature)
    }
  }
}

function secretScheme (secret: KeyObject): Scheme {
  const make = (content: Buffer) => createHmac('sha256', secret).update(content).digest()
  return {
    make,
    fits (content, signature) {
      const expected = make(content)
      return signature.length === expected.length && timingSafeEqual(signature, expected)
    }
  }
}

/**
 * An ES256 signature, which is two numbers in a JWS (RFC 7518, section 3.4), from OpenSSL's DER (RFC 3279, section 2.2.3).
 * Node can do that, and the way back (`dsaEncoding`), but at the price of another key for each signature, made in the event loop.
 */
function numbersOf (der: Buffer): Buffer {
  const numbers = Buffer.alloc(2 * NUMBER_BYTES)
  const middle = DER_NUMBER_AT + der[DER_NUMBER_AT - 1]! // the first begins there, behind its length
  for (const [i, number] of [der.subarray(DER_NUMBER_AT, middle), der.subarray(middle + 2)].entries()) {
    const significant = number.subarray(-NUMBER_BYTES) // without the zero that keeps it from being negative
    significant.copy(numbers, (i + 1) * NUMBER_BYTES - significant.length)
  }
  return numbers
}

/** The way back. */
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
