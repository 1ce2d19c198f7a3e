import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const MOST_MAX_AGE_SECONDS = 300

const Jwk = Type.Object({
  kty: Type.String({ examples: ['EC'] }),
  kid: Type.String(),
  alg: Type.String({ examples: ['ES256'] }),
  use: Type.Literal('sig'),
  crv: Type.Optional(Type.String({ examples: ['P-256'] })),
  x: Type.Optional(Type.String()),
  y: Type.Optional(Type.String()),
  n: Type.Optional(Type.String()),
  e: Type.Optional(Type.String())
}, { title: 'Jwk', description: 'A JSON Web Key (RFC 7517), public members only' })

const JwkSet = Type.Object({ keys: Type.Array(Jwk) }, { title: 'JwkSet', description: 'The public keys' })

const jwks: FastifyPluginAsyncTypebox = async (fastify) => {
  const { config: { keyPrepublishSeconds }, notModified, signingKeys } = fastify
  const maxAge = Math.min(MOST_MAX_AGE_SECONDS, Math.floor(keyPrepublishSeconds / 2)) // caches see a new key long before it signs

  fastify.get('/jwks.json', {
    schema: {
      operationId: 'getPublicKeys',
      summary: 'Get the public keys that verify access tokens (RFC 7517)',
      tags: ['service'],
      response: { 200: JwkSet, 304: Type.Null({ description: 'Not modified' }) }
    },
    config: { open: 'public keys are for everybody' }
  }, async (_request, reply) => {
    const jwks = signingKeys.jwks()
    reply.header('cache-control', `public, max-age=${maxAge}`)
    if (notModified(JSON.stringify(jwks), reply)) return reply.code(304).send(null)
    return jwks
  })
}

export default jwks
