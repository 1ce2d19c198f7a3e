import { RefreshTokenBody, Tokens } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const HOW_TO_SEND = 'Send the refresh token: as `refresh_token` in the body, or as Bearer.'

const refresh: FastifyPluginAsyncTypebox = async (fastify) => {
  const { bearerToken, problem, sessions } = fastify

  fastify.post('/refresh', {
    schema: {
      operationId: 'refreshTokens',
      summary: 'Refresh: trade a refresh token for a new pair of tokens',
      description: 'A refresh token is good for one use. For a few seconds a second use gives the same new tokens again, ' +
        'because clients lose races and answers. After that it ends the session.',
      tags: ['auth'],
      body: RefreshTokenBody,
      response: { 200: Tokens }
    },
    config: { tokens: ['refresh'], refusals: ['rate_limited'] }
  }, async (request) => {
    const token = request.body?.refresh_token ?? bearerToken(request)
    if (token === undefined) throw problem('missing_token', { detail: HOW_TO_SEND })

    return sessions.refresh(token, request)
  })
}

export default refresh
