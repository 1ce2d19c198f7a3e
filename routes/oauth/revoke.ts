import { Revoked, TokenRequest } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const revoke: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accessTokens, audit, authenticateClient, db, refreshTokens } = fastify

  fastify.post('/revoke', {
    schema: {
      summary: 'End an access token, or with a refresh token its session (RFC 7009)',
      description: 'What is no token, or a good one no more, is answered in the same way.',
      tags: ['gateway'],
      body: TokenRequest,
      response: { 200: Revoked }
    },
    onRequest: authenticateClient
  }, async (request, reply) => {
    const { token } = request.body
    const claims = await accessTokens.read(token)
    const refresh = refreshTokens.read(token)
    if (claims) await accessTokens.revoke(claims, audit.note(request, { event: 'revoked', subject: claims.sub, session: claims.sid, target: claims.jti }))
    if (refresh) await db.sessions.end(refresh.sid, undefined, audit.note(request, ([ended]) => ended && { event: 'revoked', subject: ended.userId, session: ended.id }))
    return reply.send(undefined as never) // no body, which is what the document makes of null
  })
}

export default revoke
