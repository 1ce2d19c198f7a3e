import { readOrThrow } from './refresh.ts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Actor } from '../core/audit.ts'
import type { EndedSession } from '../core/database.ts'

/** Builds the functions of `sessions` that end sessions: every logout there is. */
export function sessionEnder (fastify: FastifyInstance) {
  const { accessTokens, audit, db, problem, refreshTokens } = fastify

  async function logOut (token: string | undefined, request: FastifyRequest) {
    if (token === undefined) throw problem('missing_token')
    const { sid } = refreshTokens.has(token) ? readOrThrow(fastify, token) : await accessTokens.verify(token)
    const ended = await db.sessions.end(sid, undefined, audit.entry(request, ([ended]: EndedSession[]) => ended && {
      event: 'logged_out',
      subject: ended.userId,
      session: sid,
      isBySubject: true
    }))
    if (ended.length === 0) throw problem('token_revoked')
  }

  async function end (id: string, userId: string, actor: Actor) {
    const ended = await db.sessions.end(id, userId, audit.entry(actor, ([ended]: EndedSession[]) => ended && {
      event: 'logged_out',
      subject: userId,
      session: id
    }))
    if (ended.length === 0) throw problem('not_found')
  }

  async function endAll (userId: string, actor: Actor): Promise<number> {
    const ended = await db.sessions.endAll(userId, audit.entry(actor, (ended: EndedSession[]) => ({
      event: 'logged_out',
      subject: userId,
      details: { sessions: ended.length }
    })))
    return ended.length
  }

  async function revoke (refreshToken: string, request: FastifyRequest) {
    const read = refreshTokens.read(refreshToken)
    if (!read) return
    await db.sessions.end(read.sid, undefined, audit.entry(request, ([ended]: EndedSession[]) => ended && {
      event: 'revoked',
      subject: ended.userId,
      session: ended.id
    }))
  }

  return { logOut, end, endAll, revoke }
}
