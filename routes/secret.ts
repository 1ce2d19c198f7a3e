import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Secret = Type.Object({ answer: Type.Integer({ examples: [42] }) }, { title: 'Secret', description: 'The secret' })

const secret: FastifyPluginAsyncTypebox = async (fastify) => {
  fastify.get('/secret', {
    schema: {
      operationId: 'getSecret',
      summary: 'Read the secret, which needs a good access token',
      tags: ['secret'],
      response: { 200: Secret }
    },
    onRequest: fastify.authenticate
  }, async () => ({ answer: 42 }))
}

export default secret
