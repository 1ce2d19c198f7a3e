import { NoContent, UserParams } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const logout: FastifyPluginAsyncTypebox = async (fastify) => {
  const { audit, db, problem, requireRole } = fastify

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

    await db.sessions.endAll(id, audit.note(request, (ended) => ({ event: 'logged_out', subject: id, details: { sessions: ended.length } })))
    reply.code(204)
  })
}

export default logout
