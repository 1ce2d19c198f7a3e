import { Revoked, TokenRequest } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const revoke: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accessTokens, authenticateClient, db, refreshTokens } = fastify

  fastify.post('/revoke', {
    schema: {
      summary: 'End an access token, or with a refresh token its session (RFC 7009)',
      description: 'What is no token, or a good one no more, is answered in the same way.',
      tags: ['gateway'],
      body: TokenRequest,
      response: { 200: Revoked }
    },
    onRequest: authenticateClient
  }, async ({ body: { token }, log }) => {
    const claims = accessTokens.read(token)
    const refresh = refreshTokens.read(token)
    if (claims) await accessTokens.revoke(claims)
    if (refresh) await db.sessions.end(refresh.sid)
    log.info({ event: 'revoked', token: claims?.jti, session: refresh?.sid }, 'revoked')
    return null
  })
}

export default revoke
