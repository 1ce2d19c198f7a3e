import { Credentials, SignedIn, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const login: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, limits, sessions } = fastify

  fastify.post('/login', {
    schema: {
      summary: 'Trade a name and a password for a pair of tokens',
      tags: ['auth'],
      body: Credentials,
      response: { 200: SignedIn }
    },
    config: { refusals: ['invalid_credentials', 'account_disabled', 'busy'] },
    preHandler: limits.address
  }, async (request) => {
    const { username, email, password } = request.body
    const login = (username ?? email)! // the schema demands one of them
    const user = await accounts.identify(login, password, request)
    const tokens = await sessions.start(user, request)
    return { ...tokens, user: toUser(user) }
  })
}

export default login
