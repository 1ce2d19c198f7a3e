import { NoContent, PasswordChange } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const password: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, ownAccount } = fastify

  fastify.post('/password', {
    schema: {
      summary: 'Change your password and end all your other sessions',
      tags: ['account'],
      body: PasswordChange,
      response: { 204: NoContent }
    },
    config: { limitByAddress: true, refusals: ['wrong_password', 'weak_password', 'busy'] },
    onRequest: authenticate
  }, async (request, reply) => {
    const { current_password: current, new_password: next } = request.body
    await ownAccount.changePassword(current, next, request)
    reply.code(204)
  })
}

export default password
