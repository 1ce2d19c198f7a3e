import { NoContent, SessionParams, Sessions, toSession } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const sessions: FastifyPluginAsyncTypebox = async (fastify) => {
  const { audit, authenticate, db, now, problem } = fastify

  fastify.get('/sessions', {
    schema: {
      summary: 'One\'s own live sessions',
      tags: ['account'],
      response: { 200: Sessions }
    },
    onRequest: authenticate
  }, async ({ user: { sub, sid } }) => {
    const live = await db.sessions.list(sub, now())
    return { sessions: live.map((session) => toSession(session, sid)) }
  })

  fastify.delete('/sessions/:id', {
    schema: {
      summary: 'End one of one\'s own sessions',
      tags: ['account'],
      params: SessionParams,
      response: { 204: NoContent }
    },
    config: { refusals: ['not_found'] },
    onRequest: authenticate
  }, async (request, reply) => {
    const ended = await db.sessions.end(request.params.id, request.user.sub, audit.note(request, ([ended]) => ended && { event: 'logged_out', subject: ended.userId, session: ended.id }))
    if (ended.length === 0) throw problem('not_found')
    reply.code(204)
  })
}

export default sessions
