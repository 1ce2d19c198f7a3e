import { NoContent, User, UserChange, UserParams, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const user: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, requireRole } = fastify
  const onRequest = requireRole('admin')

  fastify.get('/:id', {
    schema: {
      operationId: 'getUser',
      summary: 'Get an account',
      tags: ['users'],
      params: UserParams,
      response: { 200: User }
    },
    config: { refusals: ['not_found'] },
    onRequest
  }, async (request) => toUser(await accounts.get(request.params.id)))

  fastify.patch('/:id', {
    schema: {
      operationId: 'updateUser',
      summary: 'Change an account (changing roles or disabling it ends its sessions)',
      tags: ['users'],
      params: UserParams,
      body: UserChange,
      response: { 200: User }
    },
    config: { refusals: ['not_found', 'username_taken', 'email_taken', 'last_admin'] },
    onRequest
  }, async (request) => toUser(await accounts.change(request.params.id, request.body, request)))

  fastify.delete('/:id', {
    schema: {
      operationId: 'deleteUser',
      summary: 'Delete an account',
      tags: ['users'],
      params: UserParams,
      response: { 204: NoContent }
    },
    config: { refusals: ['not_found', 'last_admin'] },
    onRequest
  }, async (request, reply) => {
    await accounts.remove(request.params.id, request)
    reply.code(204)
  })
}

export default user
