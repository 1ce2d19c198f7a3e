import { Introspection, TokenRequest } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const introspect: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accessTokens, authenticateClient, config, sessions } = fastify

  fastify.post('/introspect', {
    schema: {
      summary: 'Introspect a token of either kind (RFC 7662)',
      tags: ['gateway'],
      body: TokenRequest,
      response: { 200: Introspection }
    },
    onRequest: authenticateClient
  }, async ({ body: { token } }) => {
    const claims = await accessTokens.read(token)
    if (claims) return { active: true, token_type: 'Bearer', ...claims }

    const session = await sessions.find(token)
    if (!session) return { active: false }
    return {
      active: true,
      token_type: 'refresh_token',
      iss: config.issuer,
      client_id: config.clientId,
      sub: session.userId,
      sid: session.id,
      iat: toSeconds(session.lastUsedAt),
      exp: toSeconds(session.expiresAt)
    }
  })
}

function toSeconds (milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}

export default introspect
