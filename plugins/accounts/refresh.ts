import { placeOf } from './place.ts'
import { timesOf } from './session-times.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AuditRecord } from '../core/audit.ts'
import type { RotationResult, Session } from '../core/database.ts'

/** Of one session: with tokens that live for 15 minutes, a refresh every seven seconds. */
const MOST_LIVE_TOKENS = 128

const NO_REFRESH_TOKEN = 'This is not a refresh token. Send the refresh token.'

/** Builds `sessions.refresh`: a compare and swap on the generation of the session. */
export function refresher (fastify: FastifyInstance) {
  const { accessTokens, audit, clientAddresses: { networksOf }, config, db, now, problem } = fastify
  const grace = config.refreshGraceSeconds * 1000
  const mostLiveTokens = config.rateLimit ? MOST_LIVE_TOKENS : Infinity

  return async (refreshToken: string, request: FastifyRequest): Promise<Session> => {
    const { sid, generation } = readOrThrow(fastify, refreshToken)
    const time = now()
    const place = placeOf(request)
    const rotation = {
      now: time,
      place,
      isSamePlace: ({ ip, userAgent }: Session) => userAgent === place.userAgent && networksOf(ip)[0] === networksOf(place.ip)[0],
      timesOf: (createdAt: number) => timesOf(createdAt, time, config),
      grace,
      isInUse: accessTokens.isInUse,
      mostLiveTokens
    }
    const result = await db.sessions.rotate(sid, generation, rotation, audit.entry(request, (result) => toRecord(result, generation)))

    switch (result.outcome) {
      case 'rotated':
      case 'replayed_in_grace':
        return result.session
      case 'rotated_elsewhere':
        accessTokens.countAsUsed(result.session) // nobody moves twice within one grace
        return result.session
      case 'too_many_tokens':
        throw problem('rate_limited', { headers: { 'retry-after': String(Math.ceil((result.until - now()) / 1000)) } })
      case 'expired':
        throw problem('token_expired')
      case 'reused':
      case 'unknown':
        throw problem('token_revoked')
    }
  }
}

/** Reads an authentic refresh token, or throws `wrong_token_type` or `invalid_token`. */
export function readOrThrow ({ problem, refreshTokens }: FastifyInstance, refreshToken: string) {
  const read = refreshTokens.read(refreshToken)
  if (!read && refreshToken.startsWith('ey')) throw problem('wrong_token_type', { detail: NO_REFRESH_TOKEN })
  if (!read) throw problem('invalid_token')
  return read
}

/** The audit record of a refresh with a token of this generation. None when the session is over. */
function toRecord (result: RotationResult, generation: number): AuditRecord | undefined {
  if (!('session' in result)) return undefined
  const { outcome, session: { id: session, userId: subject, generation: current } } = result
  if (outcome === 'reused') return { event: 'reuse_detected', outcome: 'token_revoked', subject, session, details: { generation, current } }
  const event = outcome === 'rotated_elsewhere' ? 'refreshed_elsewhere' : 'refreshed'
  return { event, outcome, subject, session, isBySubject: true }
}
