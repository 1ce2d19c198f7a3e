import { createHash } from 'node:crypto'
import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const MAX_AGE_SECONDS = 300

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
}, { description: 'RFC 7517; public members only' })

const jwks: FastifyPluginAsyncTypebox = async (fastify) => {
  const { keys } = fastify

  fastify.get('/jwks.json', {
    schema: {
      summary: 'The public keys that access tokens are verified with',
      tags: ['service'],
      response: { 200: Type.Object({ keys: Type.Array(Jwk) }), 304: Type.Null({ description: 'As it was' }) }
    }
  }, async (request, reply) => {
    const etag = `"${createHash('sha256').update(JSON.stringify(keys.jwks)).digest('base64url')}"`
    reply.headers({ etag, 'cache-control': `public, max-age=${MAX_AGE_SECONDS}` })
    if (request.headers['if-none-match'] === etag) return reply.code(304).send()
    return keys.jwks
  })
}

export default jwks
