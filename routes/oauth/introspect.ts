import { Introspection, TokenRequest } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const introspect: FastifyPluginAsyncTypebox = async (fastify) => {
  const { addOAuthError, apiClients, authenticateClient } = fastify

  fastify.post('/introspect', {
    schema: {
      operationId: 'introspectToken',
      summary: 'Introspect a token of either kind (RFC 7662)',
      tags: ['gateway'],
      body: TokenRequest,
      response: { 200: Introspection }
    },
    preValidation: authenticateClient, // when the body has come: the client may be deleted meanwhile
    preSerialization: addOAuthError
  }, ({ body: { token } }) => apiClients.introspect(token))
}

export default introspect
