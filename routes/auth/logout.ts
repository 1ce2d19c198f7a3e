import { NoContent, RefreshTokenBody } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const logout: FastifyPluginAsyncTypebox = async (fastify) => {
  const { audit, authenticate, db, presentedToken, problem, sessions } = fastify

  fastify.post('/logout', {
    schema: {
      summary: 'End this session: both its tokens are dead',
      tags: ['auth'],
      security: [{ accessToken: [] }, { refreshToken: [] }],
      body: RefreshTokenBody,
      response: { 204: NoContent }
    },
    config: { refusals: ['missing_token', 'invalid_token', 'token_expired', 'token_revoked', 'wrong_token_type'] }
  }, async (request, reply) => {
    const token = presentedToken(request) ?? request.body?.refresh_token
    if (token === undefined) throw problem('missing_token')

    const session = await sessions.idOf(token)
    const ended = await db.sessions.end(session, undefined, audit.note(request, ([ended]) => ended && { event: 'logged_out', subject: ended.userId, session, isBySubject: true }))
    if (ended.length === 0) throw problem('token_revoked')
    reply.code(204)
  })

  fastify.post('/logout/all', {
    schema: {
      summary: 'End every session of this user',
      tags: ['auth'],
      response: { 204: NoContent }
    },
    onRequest: authenticate
  }, async (request, reply) => {
    const { sub } = request.user
    await db.sessions.endAll(sub, audit.note(request, (ended) => ({ event: 'logged_out', subject: sub, details: { sessions: ended.length } })))
    reply.code(204)
  })
}

export default logout
