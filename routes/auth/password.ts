import { PasswordChange, Tokens } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const password: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, ownAccount } = fastify

  fastify.post('/password', {
    schema: {
      operationId: 'changeMyPassword',
      summary: 'Change your password: end every session and start a new one',
      tags: ['account'],
      body: PasswordChange,
      response: { 200: Tokens }
    },
    config: { limitByAddress: true, refusals: ['wrong_password', 'weak_password', 'busy'] },
    onRequest: authenticate
  }, async (request) => {
    const { current_password: current, new_password: next } = request.body
    return ownAccount.changePassword(current, next, request)
  })
}

export default password
