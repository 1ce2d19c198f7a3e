import fp from 'fastify-plugin'
import type { FastifyError, FastifyPluginAsync } from 'fastify'
import type { AuditEvent } from './db.ts'

const LAST_MILLISECOND = 8.64e15

export type Reason =
  | 'good' | 'missing_role' | 'expired' | 'not_yet_valid' | 'already_used' | 'session_over' | 'token_revoked' | 'account_disabled' | 'account_deleted'
  | 'key_burnt' | 'unknown_key' | 'bad_signature' | 'wrong_issuer' | 'wrong_audience' | 'wrong_type' | 'malformed' | 'not_as_issued'

export interface Explanation {
  /** The rule that refuses the token; `good` when none does. */
  reason: Reason
  /** The same as a sentence. */
  explanation: string
  /** What the token says of itself; only if its signature is ours. */
  subject?: string
  session?: string
  tokenId?: string
  /** The event that made it so, as far as the audit log reaches. */
  cause?: AuditEvent
}

declare module 'fastify' {
  interface FastifyInstance { explanations: Explanations }
}

export interface Explanations {
  /**
   * Why a token of either kind is refused, or that it is good where `roles` are asked for. It asks the one place that
   * accepts tokens, and accepts none itself; the token is neither kept nor logged.
   */
  ofToken: (token: string, roles?: string[]) => Promise<Explanation>
}

type Ids = Pick<Explanation, 'subject' | 'session' | 'tokenId'>

const explanations: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, blocklist, config, db, keys, now, refreshTokens, sessions, signatures } = fastify
  const { open } = signatures('at+jwt')

  async function ofAccessToken (token: string, roles: string[]): Promise<Explanation> {
    const { header, payload } = decoded(token)
    const { sub: subject, sid: session, jti: tokenId } = payload as { sub: string, sid: string, jti: string } // read only where the signature is ours
    const ids = { subject, session, tokenId }
    let thrown
    try {
      const claims = await accessTokens.verify(token)
      const missing = roles.filter((role) => !claims.roles.includes(role))
      if (missing.length === 0) return { ...ids, reason: 'good', explanation: 'The token is good.' }
      return { ...ids, reason: 'missing_role', explanation: `The token is good, but lacks the role ${missing.join(', ')}.` }
    } catch (error) {
      thrown = error as FastifyError // whatever is thrown has a code or is no refusal
    }
    switch (thrown.code) {
      case 'token_expired': return { ...ids, reason: 'expired', explanation: `The token expired at ${toTime(Number(payload.exp) * 1000)}.` }
      case 'token_revoked': return ofRevoked(ids, String(header.kid))
      case 'wrong_token_type': return { reason: 'wrong_type', explanation: 'This is no access token: its header names another type.' }
      case 'invalid_token': return await ofKey(header.kid) ?? ofInvalid(header, payload, await open(token) !== undefined)
      default: throw thrown
    }
  }

  function decoded (token: string): { header: Record<string, unknown>, payload: Record<string, unknown> } {
    try {
      return fastify.jwt.decode(token)!
    } catch {
      return { header: {}, payload: {} }
    }
  }

  async function ofRevoked (ids: Required<Ids>, kid: string): Promise<Explanation> {
    const { tokenId, session, subject } = ids
    if (!blocklist.has(tokenId)) return await ofKey(kid) ?? { ...ids, ...await ofEnded(session, subject) }
    const cause = await db.audit.lastOf(tokenId)
    return { ...ids, reason: 'token_revoked', explanation: `The token was revoked${told(cause)}.`, cause }
  }

  async function ofKey (kid: unknown): Promise<Explanation | undefined> {
    if (typeof kid !== 'string' || !blocklist.has(kid)) return undefined
    const cause = await db.audit.lastOf(kid)
    return { reason: 'key_burnt', explanation: `The key that the token names was burnt${told(cause)}.`, cause }
  }

  /** Of a session that is over. */
  async function ofEnded (session: string, subject?: string): Promise<Explanation> {
    const cause = await db.audit.sessionEnd(session, subject)
    const id = subject ?? cause?.subject ?? undefined
    const user = id === undefined ? undefined : await db.users.findById(id)
    if (id !== undefined && !user) return { reason: 'account_deleted', explanation: `The account is gone, and the session of the token over${told(cause)}.`, cause }
    if (user?.disabled) return { reason: 'account_disabled', explanation: `The account is disabled, and the session of the token over${told(cause)}.`, cause }
    return { reason: 'session_over', explanation: `The session of the token is over${told(cause)}.`, cause }
  }

  function ofInvalid ({ kid, alg, ...header }: Record<string, unknown>, { iss, aud, iat, nbf }: Record<string, unknown>, isGenuine: boolean): Explanation {
    const key = keys.all().find((key) => key.kid === kid)
    if (alg === undefined) return { reason: 'malformed', explanation: 'This is no token, or only a part of one.' }
    if (!key) return { reason: 'unknown_key', explanation: 'The token names a key that is not, or no longer, one of this service.' }
    if (alg !== key.algorithm || Object.keys(header).some((name) => name !== 'typ')) return { reason: 'not_as_issued', explanation: 'The header of the token is not as this service writes it.' }
    if (!isGenuine) return { reason: 'bad_signature', explanation: 'The signature does not fit: the token was changed, or cut off, or is forged.' }
    if (iss !== config.issuer) return { reason: 'wrong_issuer', explanation: `The token is not from ${config.issuer}: see ISSUER.` }
    if (aud !== config.audience) return { reason: 'wrong_audience', explanation: `The token is not for ${config.audience}: see AUDIENCE.` }
    const begins = Number(nbf ?? iat) * 1000
    if (begins > now()) return { reason: 'not_yet_valid', explanation: `The token is from the future (${toTime(begins)}): compare the clocks.` }
    return { reason: 'not_as_issued', explanation: 'The claims of the token are not as this service writes them.' }
  }

  async function ofRefreshToken (token: string): Promise<Explanation> {
    const read = refreshTokens.read(token)
    if (!read) return { reason: 'bad_signature', explanation: 'The refresh token was changed, or cut off, or made under another MASTER_KEY.' }
    const session = await db.sessions.findById(read.sid)
    if (!session) return { session: read.sid, ...await ofEnded(read.sid) }

    const ids = { subject: session.userId, session: session.id }
    if (await sessions.find(token)) return { ...ids, reason: 'good', explanation: `The refresh token is good until ${toTime(session.expiresAt)}.` }
    if (session.expiresAt <= now()) return { ...ids, reason: 'expired', explanation: `The session of the refresh token expired at ${toTime(session.expiresAt)}.` }
    if (read.generation > session.generation) return { ...ids, reason: 'not_as_issued', explanation: 'The refresh token is newer than the database: was an older copy restored?' }
    return {
      ...ids,
      reason: 'already_used',
      explanation: `The refresh token is number ${read.generation} of its session, which is at ${session.generation} since ${toTime(session.lastUsedAt)}: to use it again after REFRESH_GRACE ends the session.`
    }
  }

  fastify.decorate('explanations', {
    ofToken: (token, roles = []) => token.startsWith('prt_') ? ofRefreshToken(token) : ofAccessToken(token, roles)
  })
}

function told (cause: AuditEvent | undefined): string {
  if (!cause) return ' (the audit log does not say why)'
  return `: ${cause.event}, by ${cause.actorKind}${cause.actorId === null ? '' : ` ${cause.actorId}`}, at ${toTime(cause.at)}`
}

/** Of a time that a token may have made up. */
function toTime (time: number): string {
  return Math.abs(time) <= LAST_MILLISECOND ? new Date(time).toISOString() : 'a time that no clock shows'
}

export default fp(explanations, { name: 'explanations', dependencies: ['access-tokens', 'blocklist', 'config', 'db', 'keys', 'refresh-tokens', 'sessions', 'signatures'] })
