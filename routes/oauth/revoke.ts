import { Revoked, TokenRequest } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const revoke: FastifyPluginAsyncTypebox = async (fastify) => {
  const { addOAuthError, apiClients, authenticateClient } = fastify

  fastify.post('/revoke', {
    schema: {
      operationId: 'revokeToken',
      summary: 'Revoke an access token, or with a refresh token its session (RFC 7009)',
      description: 'A token that is unknown, or already invalid, is answered in the same way.',
      tags: ['gateway'],
      body: TokenRequest,
      response: { 200: Revoked }
    },
    preValidation: authenticateClient, // when the body has come: the client may be deleted meanwhile
    preSerialization: addOAuthError
  }, async (request, reply) => {
    await apiClients.revoke(request.body.token, request)
    return reply.send(undefined as never) // no body, which is what the document makes of null
  })
}

export default revoke
