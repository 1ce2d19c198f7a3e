import { randomBytes } from 'node:crypto'
import jwt from '@fastify/jwt'
import fp from 'fastify-plugin'
import { LruMap } from 'toad-cache'
import type { FastifyError, FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Note, Session } from './db.ts'

const TYPE = 'at+jwt'
const JTI_BYTES = 16
const MOST_REMEMBERED = 16_384
const CLOCK_SKEW_SECONDS = 60
const REFUSALS = new Set(['invalid_token', 'wrong_token_type', 'token_expired', 'token_revoked'])

/** What an access token says (RFC 9068). Times in seconds. */
export interface AccessTokenClaims {
  iss: string
  aud: string
  sub: string
  client_id: string
  iat: number
  exp: number
  jti: string
  /** The session. */
  sid: string
  roles: string[]
  auth_time: number
  /** Where a verifier without access to Postern finds whether it was revoked (draft-ietf-oauth-status-list). */
  status: { status_list: { idx: number, uri: string } }
}

declare module 'fastify' {
  interface FastifyInstance { accessTokens: AccessTokens }
}

declare module '@fastify/jwt' {
  interface FastifyJWT { payload: AccessTokenClaims, user: AccessTokenClaims }
}

/** A token whose signature was checked. */
interface Verified {
  claims: AccessTokenClaims
  kid: string
  /** The revision of the blocklist at which the token was not on it. */
  unrevokedAt?: number
}

export interface AccessTokens {
  /** Signs a token for a session; it expires with `session.accessExpiresAt`. */
  issue: (session: Session) => string
  /**
   * The one place that decides whether an access token is good. Its claims, or it throws the refusal
   * `invalid_token`, `wrong_token_type`, `token_expired`, `token_revoked` or `overloaded`. At once for a token that is
   * remembered, as most are; for another a promise, because its signature is checked outside the event loop.
   */
  verify: (token: string) => AccessTokenClaims | Promise<AccessTokenClaims>
  /** The claims of a good token, undefined for any other; throws only when it cannot be said. */
  read: (token: string) => Promise<AccessTokenClaims | undefined>
  /** Ends one access token, and leaves its session alone. */
  revoke: (claims: AccessTokenClaims, note?: Note<void>) => Promise<void>
}

/** What `decode: { complete: true }` makes of a token. */
type CompleteToken = Extract<jwt.TokenOrHeader, { header: unknown }>

const accessTokens: FastifyPluginAsync = async (fastify) => {
  const { blocklist, config: { audience, clientId, issuer, sessionMaxAgeSeconds }, db, keys, now, problem, signatures } = fastify

  const { sign, open } = signatures(TYPE)
  const remembered = new LruMap<Verified>(MOST_REMEMBERED) // by the whole token: another spelling is another token

  /** Checks all but what may change: that is checked at every use, by the service's own clock. */
  async function signed (token: string): Promise<Verified> {
    const opened = await open(token)
    if (!opened) throw problem(isOfAnotherType(token) ? 'wrong_token_type' : 'invalid_token')
    const { claims, kid } = opened
    if (!areComplete(claims) || !isAsWritten(claims, token) || !isOurs(claims) || !isPlausible(claims)) throw problem('invalid_token')
    Object.freeze(claims.roles)
    return { claims: Object.freeze(claims), kid }
  }

  function isOurs ({ iss, aud }: AccessTokenClaims): boolean {
    return iss === issuer && aud === audience
  }

  /** Whether a token was issued by now, as far as clocks agree, and for no longer than the longest session. */
  function isPlausible ({ iat, exp }: AccessTokenClaims): boolean {
    return iat <= now() / 1000 + CLOCK_SKEW_SECONDS && exp - iat <= sessionMaxAgeSeconds + CLOCK_SKEW_SECONDS
  }

  function isOfAnotherType (token: string): boolean {
    if (token.startsWith('prt_')) return true
    try {
      const { header } = fastify.jwt.decode<{ header: { typ?: unknown } }>(token)! // it throws what it cannot read
      return header.typ !== TYPE
    } catch {
      return false
    }
  }

  function verify (token: string): AccessTokenClaims | Promise<AccessTokenClaims> {
    const known = remembered.get(token)
    return known ? stillGood(known) : verifyNew(token)
  }

  async function verifyNew (token: string): Promise<AccessTokenClaims> {
    const verified = await signed(token)
    const claims = stillGood(verified)
    remembered.set(token, verified) // only what was verified: nobody without a key of ours can evict it
    return claims
  }

  /** What may have changed since the signature was checked. */
  function stillGood (verified: Verified): AccessTokenClaims {
    const { claims, kid, unrevokedAt } = verified
    if (claims.exp * 1000 <= now()) throw problem('token_expired')
    const revision = blocklist.revision()
    if (unrevokedAt !== revision) {
      if (blocklist.has(claims.sid) || blocklist.has(claims.jti) || blocklist.has(kid)) throw problem('token_revoked')
      verified.unrevokedAt = revision
    }
    return claims
  }

  async function read (token: string): Promise<AccessTokenClaims | undefined> {
    try {
      return await verify(token)
    } catch (error) {
      if (REFUSALS.has((error as FastifyError).code)) return undefined // whatever is thrown has a code or is no refusal
      throw error
    }
  }

  fastify.decorate('accessTokens', {
    verify,
    read,

    async revoke ({ jti, exp, status: { status_list: { idx, uri } } }, note) {
      const until = exp * 1000
      await db.revocations.add(jti, until, { list: uri.slice(uri.lastIndexOf('/') + 1), index: idx, until }, note)
    },

    issue: (session) => sign({
      iss: issuer,
      aud: audience,
      sub: session.userId,
      client_id: clientId,
      iat: Math.floor(now() / 1000),
      exp: session.accessExpiresAt / 1000,
      jti: randomBytes(JTI_BYTES).toString('base64url'),
      sid: session.id,
      roles: session.roles,
      auth_time: Math.floor(session.createdAt / 1000),
      status: { status_list: statusOf(session) }
    } satisfies AccessTokenClaims)
  })

  // `request.jwtVerify` for those who know it: the stock check, then the one above.
  await fastify.register(jwt, {
    secret: { public: async (_request: FastifyRequest, token: jwt.TokenOrHeader) => publicKeyOf(token as CompleteToken) },
    decode: { complete: true },
    verify: { checkTyp: TYPE, allowedIss: issuer, allowedAud: audience, ignoreExpiration: true, ignoreNotBefore: true },
    trusted: async (request) => Boolean(await verify(fastify.jwt.lookupToken(request)))
  })

  function statusOf ({ statusEntries }: Session) {
    const { list, index } = statusEntries.at(-1)! // a stored session has the place of its newest token
    return { idx: index, uri: `${issuer}/status/${list}` }
  }

  function publicKeyOf ({ header }: CompleteToken): string {
    const key = keys.all().find(({ kid }) => kid === header.kid)
    if (!key) throw problem('invalid_token')
    return key.publicKey
  }
}

/** Whether claims that carry our signature are all that they should be. */
function areComplete (claims: unknown): claims is AccessTokenClaims {
  const { sub, client_id: clientId, jti, sid, iat, exp, auth_time: authTime, nbf, roles, status } = Object(claims) as Record<string, unknown> // what is no object has none of them
  const { idx, uri } = (status as { status_list?: Record<string, unknown> } | undefined | null)?.status_list ?? {} // nothing else has members that matter here
  return [sub, clientId, jti, sid, uri].every((value) => typeof value === 'string' && value !== '') &&
    [iat, exp, authTime, idx].every(Number.isSafeInteger) && nbf === undefined &&
    Array.isArray(roles) && roles.every((role) => typeof role === 'string')
}

/** Whether a token has its claims in the one way in which they are written here. A name that stands there twice would say one thing to us, and another to somebody else. */
function isAsWritten (claims: AccessTokenClaims, token: string): boolean {
  return token.split('.')[1] === Buffer.from(JSON.stringify(claims)).toString('base64url')
}

export default fp(accessTokens, { name: 'access-tokens', dependencies: ['blocklist', 'clock', 'config', 'db', 'keys', 'problem', 'signatures'] })
