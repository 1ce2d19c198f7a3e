import { Introspection, TokenRequest } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const introspect: FastifyPluginAsyncTypebox = async (fastify) => {
  const { apiClients, authenticateClient } = fastify

  fastify.post('/introspect', {
    schema: {
      summary: 'Introspect a token of either kind (RFC 7662)',
      tags: ['gateway'],
      body: TokenRequest,
      response: { 200: Introspection }
    },
    onRequest: authenticateClient
  }, ({ body: { token } }) => apiClients.introspect(token))
}

export default introspect
