import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'

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
}, { additionalProperties: true, title: 'Metadata', description: 'The metadata' })

const metadata: FastifyPluginAsyncTypebox = async (fastify) => {
  const { metadata } = fastify
  const { pathname } = new URL(metadata.document().issuer)

  async function sendMetadata (_request: FastifyRequest, reply: FastifyReply) {
    reply.header('cache-control', 'public, max-age=300')
    return metadata.document()
  }

  for (const [url, operationId, summary] of [
    ['/oauth-authorization-server', 'getMetadata', 'Get the metadata: the address of every endpoint (RFC 8414)'],
    ['/openid-configuration', 'getOpenidConfiguration', 'Get the same metadata, for clients that look here (Postern is no OpenID provider)']
  ] as const) {
    fastify.get(url, {
      schema: { operationId, summary, tags: ['service'], response: { 200: Metadata } },
      config: { open: 'addresses are for everybody' }
    }, sendMetadata)
    if (pathname === '/') continue
    // Where RFC 8414, section 3.1, looks for the metadata of an issuer with a path.
    const schema = { hide: true, response: { 200: Metadata } }
    fastify.get(url + pathname, { schema, config: { open: 'addresses are for everybody' } }, sendMetadata)
  }
}

export default metadata
