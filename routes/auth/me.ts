import { AccountChange, AccountDeletion, NoContent, User, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const me: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, authenticate, db, limits, problem } = fastify

  fastify.get('/me', {
    schema: {
      summary: 'The account that the token belongs to',
      tags: ['account'],
      response: { 200: User }
    },
    onRequest: authenticate
  }, async (request) => {
    const user = await db.users.findById(request.user.sub)
    if (!user) throw problem('token_revoked')
    return toUser(user)
  })

  fastify.patch('/me', {
    schema: {
      summary: 'Change one\'s own names',
      tags: ['account'],
      body: AccountChange,
      response: { 200: User }
    },
    config: { refusals: ['username_taken', 'email_taken'] },
    onRequest: authenticate,
    preHandler: limits.address // it tells which names are taken
  }, async (request) => {
    const user = await accounts.change(request.user.sub, request.body, request)
    if (!user) throw problem('token_revoked')
    return toUser(user)
  })

  fastify.delete('/me', {
    schema: {
      summary: 'Delete one\'s own account',
      tags: ['account'],
      body: AccountDeletion,
      response: { 204: NoContent }
    },
    config: { refusals: ['wrong_password', 'last_admin', 'busy'] },
    onRequest: authenticate,
    preHandler: limits.address
  }, async (request, reply) => {
    const user = await accounts.reauthenticate(request.body.password, request)
    const isDeleted = await accounts.remove(user.id, request, user.passwordHash)
    if (!isDeleted) throw problem('wrong_password')
    reply.code(204)
  })
}

export default me
