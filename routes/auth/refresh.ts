import { RefreshTokenBody, Tokens } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const refresh: FastifyPluginAsyncTypebox = async (fastify) => {
  const { presentedToken, problem, sessions } = fastify

  fastify.post('/refresh', {
    schema: {
      summary: 'Trade a refresh token for a new pair of tokens',
      description: 'A refresh token is good for one use. Whoever lost a race or an answer gets the same next token again, for a few seconds; after that, using it twice ends the session.',
      tags: ['auth'],
      security: [{ refreshToken: [] }],
      body: RefreshTokenBody,
      response: { 200: Tokens }
    },
    config: { refusals: ['missing_token', 'invalid_token', 'token_expired', 'token_revoked', 'wrong_token_type', 'rate_limited'] }
  }, async (request) => {
    const token = presentedToken(request) ?? request.body?.refresh_token
    if (token === undefined) throw problem('missing_token')

    return sessions.refresh(token, request)
  })
}

export default refresh
