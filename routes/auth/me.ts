import { AccountChange, AccountDeletion, NoContent, User, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const me: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, ownAccount } = fastify

  fastify.get('/me', {
    schema: {
      operationId: 'getMyAccount',
      summary: 'Get your account',
      tags: ['account'],
      response: { 200: User }
    },
    onRequest: authenticate
  }, async (request) => toUser(await ownAccount.get(request)))

  fastify.patch('/me', {
    schema: {
      operationId: 'updateMyAccount',
      summary: 'Change your names (a name that you sign in with needs the password)',
      tags: ['account'],
      body: AccountChange,
      response: { 200: User }
    },
    config: { limitByAddress: true, refusals: ['wrong_password', 'username_taken', 'email_taken', 'busy'] },
    onRequest: authenticate
  }, async (request) => toUser(await ownAccount.rename(request.body, request)))

  fastify.delete('/me', {
    schema: {
      operationId: 'deleteMyAccount',
      summary: 'Delete your account',
      tags: ['account'],
      body: AccountDeletion,
      response: { 204: NoContent }
    },
    config: { limitByAddress: true, refusals: ['wrong_password', 'last_admin', 'busy'] },
    onRequest: authenticate
  }, async (request, reply) => {
    await ownAccount.remove(request.body.password, request)
    reply.code(204)
  })
}

export default me
