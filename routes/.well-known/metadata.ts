import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Metadata = Type.Object({
  issuer: Type.String({ examples: ['https://auth.example.com'] }),
  jwks_uri: Type.String(),
  introspection_endpoint: Type.String(),
  introspection_endpoint_auth_methods_supported: Type.Array(Type.String()),
  revocation_endpoint: Type.String(),
  revocation_endpoint_auth_methods_supported: Type.Array(Type.String()),
  status_list_aggregation_endpoint: Type.String(),
  response_types_supported: Type.Array(Type.String()),
  grant_types_supported: Type.Array(Type.String()),
  service_documentation: Type.Optional(Type.String())
})

const metadata: FastifyPluginAsyncTypebox = async (fastify) => {
  const { config: { docs, issuer } } = fastify

  // People sign in at /auth/login, which is no OAuth grant: so no grant and no response type is claimed.
  const document = {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    introspection_endpoint: `${issuer}/oauth/introspect`,
    introspection_endpoint_auth_methods_supported: ['client_secret_basic'],
    revocation_endpoint: `${issuer}/oauth/revoke`,
    revocation_endpoint_auth_methods_supported: ['client_secret_basic'],
    status_list_aggregation_endpoint: `${issuer}/status`,
    response_types_supported: [],
    grant_types_supported: [],
    ...docs && { service_documentation: `${issuer}/docs` }
  }

  for (const [url, summary] of [
    ['/oauth-authorization-server', 'Where everything is (RFC 8414)'],
    ['/openid-configuration', 'The same, for those who look here; Postern is no OpenID provider']
  ] as const) {
    fastify.get(url, { schema: { summary, tags: ['service'], response: { 200: Metadata } } }, async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=300')
      return document
    })
  }
}

export default metadata
