import { NoContent, RefreshTokenBody } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const logout: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, bearerToken, sessions } = fastify

  fastify.post('/logout', {
    schema: {
      operationId: 'logout',
      summary: 'Log out: revoke this session\'s tokens',
      tags: ['auth'],
      body: RefreshTokenBody,
      response: { 204: NoContent }
    },
    config: { tokens: ['access', 'refresh'] }
  }, async (request, reply) => {
    await sessions.logOut(request.body?.refresh_token ?? bearerToken(request), request)
    reply.code(204)
  })

  fastify.post('/logout/all', {
    schema: {
      operationId: 'logoutEverywhere',
      summary: 'Log out everywhere: revoke the tokens of all your sessions',
      tags: ['auth'],
      response: { 204: NoContent }
    },
    onRequest: authenticate
  }, async (request, reply) => {
    await sessions.endAll(request.user.sub, request)
    reply.code(204)
  })
}

export default logout
