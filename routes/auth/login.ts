import { Credentials, SignedIn, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const login: FastifyPluginAsyncTypebox = async (fastify) => {
  const { credentials, sessions } = fastify

  fastify.post('/login', {
    schema: {
      operationId: 'login',
      summary: 'Sign in with a name and a password',
      tags: ['auth'],
      body: Credentials,
      response: { 200: SignedIn }
    },
    config: {
      open: 'people who sign in have no token yet',
      limitByAddress: true,
      refusals: ['invalid_credentials', 'account_disabled', 'busy']
    }
  }, async (request) => {
    const { username, email, password } = request.body
    const user = await credentials.verify((username ?? email)!, password, request) // the schema demands one of them
    const tokens = await sessions.start(user, request)
    return { ...tokens, user: toUser(user) }
  })
}

export default login
