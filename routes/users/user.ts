import { NoContent, User, UserChange, UserParams, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const user: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, db, problem, requireRole } = fastify
  const onRequest = requireRole('admin')

  fastify.get('/:id', {
    schema: {
      summary: 'One account',
      tags: ['users'],
      params: UserParams,
      response: { 200: User }
    },
    config: { refusals: ['not_found'] },
    onRequest
  }, async (request) => {
    const user = await db.users.findById(request.params.id)
    if (!user) throw problem('not_found')
    return toUser(user)
  })

  fastify.patch('/:id', {
    schema: {
      summary: 'Change an account: new roles, or disabling it, end its sessions',
      tags: ['users'],
      params: UserParams,
      body: UserChange,
      response: { 200: User }
    },
    config: { refusals: ['not_found', 'username_taken', 'email_taken', 'last_admin'] },
    onRequest
  }, async (request) => {
    const user = await accounts.change(request.params.id, request.body, request)
    if (!user) throw problem('not_found')
    return toUser(user)
  })

  fastify.delete('/:id', {
    schema: {
      summary: 'Delete an account',
      tags: ['users'],
      params: UserParams,
      response: { 204: NoContent }
    },
    config: { refusals: ['not_found', 'last_admin'] },
    onRequest
  }, async (request, reply) => {
    const isDone = await accounts.remove(request.params.id, request)
    if (!isDone) throw problem('not_found')
    reply.code(204)
  })
}

export default user
