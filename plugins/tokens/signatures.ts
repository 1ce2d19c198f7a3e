import fp from 'fastify-plugin'
import { toScheme } from './algorithms.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Scheme } from './algorithms.ts'
import type { SigningKey } from './key-pairs.ts'

/** Half a second of work or less. A token beyond that is refused as `overloaded`. */
const MOST_CHECKS = 4096

/** The fault of a token whose signature is not ours, or whose header we did not write. */
export type SignatureFault = 'malformed' | 'wrong_type' | 'unknown_key' | 'not_as_issued' | 'bad_signature'

declare module 'fastify' {
  interface FastifyInstance {
    /** Signs and opens tokens of one type, such as `at+jwt`. */
    signatures: (type: string) => Signatures
  }
}

/** A token is a compact JWS (RFC 7515) whose payload is JSON. */
export interface Signatures {
  /** Signs with the key that signs now. */
  sign: (claims: object) => string
  /**
   * Gives what a token says, and the `kid` of the key that signed it; or what is wrong with it. The header must be, to the
   * letter, what `sign` writes for one of the service's keys: nothing that an attacker writes there (`alg`, `kid`, `jwk`,
   * `crit`, …) is ever interpreted.
   * @throws `overloaded` when too many signatures are being checked already
   */
  open: (token: string) => Promise<{ claims: unknown, kid: string } | { fault: SignatureFault }>
}

/** One key's scheme, and the header of the tokens that it signs. */
interface KeyScheme extends Scheme { kid: string, header: string }

/** The one place that signs with the service's keys, and checks their signatures. */
const signatures: FastifyPluginAsync = async (fastify) => {
  const { problem, signingKeys } = fastify
  const byType = new Map<string, Signatures>()
  let checks = 0

  function create (type: string): Signatures {
    let schemes = createSchemes(signingKeys.all())

    /** Schemes are made once for as long as the keys are the same. */
    function current () {
      const keys = signingKeys.all()
      if (keys !== schemes.keys) schemes = createSchemes(keys)
      return schemes
    }

    function createSchemes (keys: readonly SigningKey[]) {
      const byKid = new Map<string, KeyScheme>()
      const byHeader = new Map<string, KeyScheme>()
      for (const key of keys) {
        const scheme = { kid: key.kid, header: encode({ alg: key.algorithm, typ: type, kid: key.kid }), ...toScheme(key) }
        byKid.set(scheme.kid, scheme)
        byHeader.set(scheme.header, scheme)
      }
      return { keys, byKid, byHeader }
    }

    /** Reads the header of a token that is not one of ours, to tell an operator why. */
    function faultOf (header: string): SignatureFault {
      const { typ, kid } = Object(decode(header)) as { typ?: unknown, kid?: unknown } // what is no object has neither
      if (typ === undefined && kid === undefined) return 'malformed'
      if (typ !== type) return 'wrong_type'
      return schemes.byKid.has(String(kid)) ? 'not_as_issued' : 'unknown_key'
    }

    function signClaims (claims: object): string {
      const { kid } = signingKeys.current()
      const { header, makeSignature } = current().byKid.get(kid)! // the key that signs is one of all
      const content = `${header}.${encode(claims)}`
      return `${content}.${makeSignature(Buffer.from(content)).toString('base64url')}`
    }

    /** A key that is not known here may have been made elsewhere a moment ago. */
    async function open (token: string): ReturnType<Signatures['open']> {
      const opened = await openByKnownKeys(token)
      const isUnknown = 'fault' in opened && opened.fault === 'unknown_key'
      return isUnknown && await signingKeys.lookAgain() ? openByKnownKeys(token) : opened
    }

    async function openByKnownKeys (token: string): ReturnType<Signatures['open']> {
      const header = token.slice(0, token.indexOf('.'))
      const content = token.slice(0, token.lastIndexOf('.'))
      const text = token.slice(content.length + 1)
      const scheme = current().byHeader.get(header)
      if (!scheme) return { fault: faultOf(header) }
      const signature = Buffer.from(text, 'base64url')
      if (signature.toString('base64url') !== text) return { fault: 'bad_signature' }

      if (checks >= MOST_CHECKS) throw problem('overloaded')
      checks++
      try {
        if (!await scheme.verifySignature(Buffer.from(content), signature)) return { fault: 'bad_signature' }
      } finally {
        checks--
      }
      return { claims: decode(content.slice(header.length + 1)), kid: scheme.kid }
    }

    return { sign: signClaims, open }
  }

  fastify.decorate('signatures', (type) => {
    const signatures = byType.get(type) ?? create(type)
    byType.set(type, signatures)
    return signatures
  })
}

function encode (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** The JSON in a part of a token; undefined when there is none. */
function decode (part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    return undefined
  }
}

export default fp(signatures, { name: 'signatures', dependencies: ['problems', 'signing-keys'] })
