import { createHmac } from 'node:crypto'
import fp from 'fastify-plugin'
import { ACCESS_TOKEN_TYPE } from './claims.ts'
import { createUses } from './uses.ts'
import { createVerify } from './verify-access-token.ts'
import type { FastifyError, FastifyPluginAsync } from 'fastify'
import type { Actor } from '../core/audit.ts'
import type { Session } from '../core/database.ts'
import type { AccessTokenClaims, ExtraClaim } from './claims.ts'

const OWN_CLAIMS = ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'nbf', 'jti', 'sid', 'roles', 'auth_time']
const JTI_CHARACTERS = 22 // 132 bits
const REFUSALS = new Set(['invalid_token', 'wrong_token_type', 'token_expired', 'token_revoked'])

declare module 'fastify' {
  interface FastifyInstance { accessTokens: AccessTokens }
}

export interface AccessTokens {
  /** Signs the token of a session's generation: each time with the same claims. */
  issue: (session: Session) => string
  /**
   * When the token that `issue` signs expires, in milliseconds since 1970. Earlier ones may expire later: ACCESS_TOKEN_TTL may
   * have been longer, or the clock ahead.
   */
  expiryOf: (session: Session) => number
  /**
   * The one place that decides whether an access token is good. Gives its claims at once for a remembered token, as most
   * are, and a promise for a new one, whose signature is checked outside the event loop.
   * @throws `invalid_token`, `wrong_token_type`, `token_expired` or `token_revoked`, each with a `refusal` for operators; or `overloaded`
   */
  verify: (token: string) => AccessTokenClaims | Promise<AccessTokenClaims>
  /** Tells whether the newest token of a session was seen in use, as far as a refresh needs to know. */
  isInUse: (session: Session) => boolean
  /** Counts the newest token of a session as used. */
  countAsUsed: (session: Session) => void
  /** The claims of a good token, undefined for any other. Throws only when neither can be said. */
  read: (token: string) => Promise<AccessTokenClaims | undefined>
  /** Revokes one access token, and leaves its session alone. */
  revoke: (claims: AccessTokenClaims, actor: Actor) => Promise<void>
  /** Adds a claim to every token, and refuses tokens without it. For plugins, before the service starts. */
  addClaim: (name: string, claim: ExtraClaim) => void
}

const accessTokens: FastifyPluginAsync = async (fastify) => {
  const { audit, config: { accessTokenTtlSeconds, audience, clientId, issuer }, db, masterKey, now, signatures } = fastify
  const { sign } = signatures(ACCESS_TOKEN_TYPE)
  const extraClaims = new Map<string, ExtraClaim>()
  const idKey = masterKey.derive('access token ids')
  const uses = createUses(fastify.config, fastify.config.workers === 1 && !fastify.db.isShared, now)
  const verify = createVerify(fastify, extraClaims, uses.record)

  async function read (token: string): Promise<AccessTokenClaims | undefined> {
    try {
      return await verify(token)
    } catch (error) {
      if (REFUSALS.has((error as FastifyError).code)) return undefined // whatever is thrown has a code or is no refusal
      throw error
    }
  }

  /** One for each generation of a session, always the same: whoever gets the tokens of a refresh again gets no more tokens. */
  function idOf ({ id, generation, lastUsedAt }: Session): string {
    return createHmac('sha256', idKey).update(`${id} ${generation} ${lastUsedAt}`).digest('base64url').slice(0, JTI_CHARACTERS)
  }

  function expiryOf ({ accessExpiresAt, lastUsedAt }: Session): number {
    return Math.min(accessExpiresAt, Math.floor(lastUsedAt / 1000 + accessTokenTtlSeconds) * 1000)
  }

  function issue (session: Session): string {
    const claims: AccessTokenClaims = {
      iss: issuer,
      aud: audience,
      sub: session.userId,
      client_id: clientId,
      iat: Math.floor(session.lastUsedAt / 1000),
      exp: expiryOf(session) / 1000,
      jti: idOf(session),
      sid: session.id,
      roles: session.roles,
      auth_time: Math.floor(session.createdAt / 1000)
    }
    for (const [name, { valueOf }] of extraClaims) claims[name] = valueOf(session)
    return sign(claims)
  }

  async function revoke (claims: AccessTokenClaims, actor: Actor) {
    const { jti, sid, sub } = claims
    const entry = audit.entry(actor, { event: 'revoked', subject: sub, session: sid, target: jti })
    await db.revocations.add(jti, claims.exp * 1000, placeOf(claims), entry)
  }

  function placeOf (claims: AccessTokenClaims) {
    return [...extraClaims].map(([name, { placeOf }]) => placeOf?.(claims[name], claims.exp)).find(Boolean)
  }

  function addClaim (name: string, claim: ExtraClaim) {
    if (OWN_CLAIMS.includes(name) || extraClaims.has(name)) throw new Error(`The claim "${name}" is taken.`)
    extraClaims.set(name, claim)
  }

  fastify.decorate('accessTokens', {
    issue,
    expiryOf,
    verify,
    isInUse: (session) => uses.has(idOf(session)),
    countAsUsed: (session) => uses.add(idOf(session)),
    read,
    revoke,
    addClaim
  })
}

export default fp(accessTokens, {
  name: 'access-tokens',
  dependencies: ['audit', 'blocklist', 'clock', 'config', 'database', 'master-key', 'problems', 'refresh-tokens', 'signatures']
})
