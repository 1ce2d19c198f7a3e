import { Introspection, TokenRequest } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const introspect: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accessTokens, authenticateClient, config, sessions } = fastify

  fastify.post('/introspect', {
    schema: {
      summary: 'Whether a token of either kind is good, and what it says (RFC 7662)',
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
    const [iat, exp] = [session.lastUsedAt, session.expiresAt].map((time) => Math.floor(time / 1000))
    return { active: true, token_type: 'refresh_token', iss: config.issuer, client_id: config.clientId, sub: session.userId, sid: session.id, iat, exp }
  })
}

export default introspect
