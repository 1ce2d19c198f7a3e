import { Registration, SignedIn, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const register: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, sessions } = fastify

  fastify.post('/register', {
    schema: {
      operationId: 'register',
      summary: 'Register an account and sign in to it',
      tags: ['auth'],
      body: Registration,
      response: { 201: SignedIn }
    },
    config: {
      open: 'people who register have no token yet',
      limitByAddress: true,
      refusals: ['registration_closed', 'username_taken', 'email_taken', 'weak_password', 'busy']
    }
  }, async (request, reply) => {
    const { user, session } = await accounts.register(request.body, request)
    return reply.code(201).send({ ...sessions.tokens(session), user: toUser(user) })
  })
}

export default register
