import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const secret: FastifyPluginAsyncTypebox = async (fastify) => {
  fastify.get('/secret', {
    schema: { summary: 'What only a good token opens', tags: ['secret'], response: { 200: Type.Object({ answer: Type.Integer({ examples: [42] }) }) } },
    onRequest: fastify.authenticate
  }, async () => ({ answer: 42 }))
}

export default secret
