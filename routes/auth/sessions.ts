import { NoContent, SessionParams, Sessions, toSession } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const sessionsRoute: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, sessions } = fastify

  fastify.get('/sessions', {
    schema: {
      operationId: 'listMySessions',
      summary: 'List your live sessions, the last used first',
      tags: ['account'],
      response: { 200: Sessions }
    },
    onRequest: authenticate
  }, async ({ user: { sub, sid } }) => {
    const live = await sessions.list(sub)
    return { sessions: live.map((session) => toSession(session, sid)) }
  })

  fastify.delete('/sessions/:id', {
    schema: {
      operationId: 'endMySession',
      summary: 'End one of your sessions',
      tags: ['account'],
      params: SessionParams,
      response: { 204: NoContent }
    },
    config: { refusals: ['not_found'] },
    onRequest: authenticate
  }, async (request, reply) => {
    await sessions.end(request.params.id, request.user.sub, request)
    reply.code(204)
  })
}

export default sessionsRoute
