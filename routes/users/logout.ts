import { NoContent, UserParams } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const logout: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, requireRole, sessions } = fastify

  fastify.post('/:id/logout', {
    schema: {
      operationId: 'endUserSessions',
      summary: 'End all sessions of an account',
      tags: ['users'],
      params: UserParams,
      response: { 204: NoContent }
    },
    config: { refusals: ['not_found'] },
    onRequest: requireRole('admin')
  }, async (request, reply) => {
    const { id } = await accounts.get(request.params.id)
    await sessions.endAll(id, request)
    reply.code(204)
  })
}

export default logout
