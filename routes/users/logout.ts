import { NoContent, UserParams } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const logout: FastifyPluginAsyncTypebox = async (fastify) => {
  const { db, problem, requireRole } = fastify

  fastify.post('/:id/logout', {
    schema: {
      summary: 'End every session of an account',
      tags: ['users'],
      params: UserParams,
      response: { 204: NoContent }
    },
    config: { refusals: ['not_found'] },
    onRequest: requireRole('admin')
  }, async (request, reply) => {
    const { id } = request.params
    if (!await db.users.findById(id)) throw problem('not_found')

    const ended = await db.sessions.endAll(id)
    request.log.info({ event: 'logged_out', user: id, by: request.user.sub, sessions: ended.length }, 'logged out everywhere')
    reply.code(204)
  })
}

export default logout
