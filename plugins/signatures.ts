import { constants, createHmac, createPrivateKey, createPublicKey, createSecretKey, sign, timingSafeEqual, verify } from 'node:crypto'
import { promisify } from 'node:util'
import fp from 'fastify-plugin'
import type { KeyObject, VerifyKeyObjectInput } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import type { SigningKey } from './keys.ts'

/** Half a second of work or less: what would have to wait for more is told to come back. */
const MOST_CHECKS = 4096

/** How Node signs and checks, by the algorithm of RFC 7518 or RFC 8037. A PS256 salt is as long as the hash; an ES256 signature is two numbers, not DER. */
const ALGORITHMS = {
  ES256: { digest: 'sha256', dsaEncoding: 'ieee-p1363' },
  RS256: { digest: 'sha256' },
  PS256: { digest: 'sha256', padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  EdDSA: { digest: null }
} as const

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
const verifyApart = promisify<string | null, Buffer, VerifyKeyObjectInput, Buffer, boolean>(verify)

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
  const { digest, ...options } = ALGORITHMS[algorithm]
  const [own, known] = [{ key: createPrivateKey(privateKey), ...options }, { key: createPublicKey(publicKey), ...options }]
  return {
    make: (content) => sign(digest, content, own),
    fits: (content, signature) => verifyApart(digest, content, known, signature)
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

/** Undefined for what is no JSON: only whoever has a key can send that. */
function parsed (payload: string): unknown {
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString())
  } catch {
    return undefined
  }
}

export default fp(signatures, { name: 'signatures', dependencies: ['keys', 'problem'] })
