import { NoContent, SessionParams, Sessions, toSession } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const sessions: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, db, now, problem } = fastify

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
    const ended = await db.sessions.end(request.params.id, request.user.sub)
    if (ended.length === 0) throw problem('not_found')
    request.log.info({ event: 'logged_out', user: request.user.sub, session: request.params.id }, 'logged out')
    reply.code(204)
  })
}

export default sessions
