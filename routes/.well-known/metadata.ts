import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Metadata = Type.Object({
  issuer: Type.String({ examples: ['https://auth.example.com'] }),
  jwks_uri: Type.String(),
  introspection_endpoint: Type.Optional(Type.String()),
  introspection_endpoint_auth_methods_supported: Type.Optional(Type.Array(Type.String())),
  revocation_endpoint: Type.Optional(Type.String()),
  revocation_endpoint_auth_methods_supported: Type.Optional(Type.Array(Type.String())),
  status_list_aggregation_endpoint: Type.Optional(Type.String()),
  response_types_supported: Type.Array(Type.String()),
  grant_types_supported: Type.Array(Type.String()),
  service_documentation: Type.Optional(Type.String())
}, { additionalProperties: true })

const metadata: FastifyPluginAsyncTypebox = async (fastify) => {
  const { metadata } = fastify

  for (const [url, summary] of [
    ['/oauth-authorization-server', 'Get the metadata: the address of every endpoint (RFC 8414)'],
    ['/openid-configuration', 'Get the same metadata, for clients that look here (Postern is no OpenID provider)']
  ] as const) {
    fastify.get(url, {
      schema: { summary, tags: ['service'], response: { 200: Metadata } },
      config: { open: 'addresses are for everybody' }
    }, async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=300')
      return metadata.document()
    })
  }
}

export default metadata
