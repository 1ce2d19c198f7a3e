import { ExplainRequest, Explanation, toExplanation } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const explain: FastifyPluginAsyncTypebox = async (fastify) => {
  const { explanations, requireRole } = fastify

  fastify.post('/explain', {
    schema: {
      summary: 'Which rule refuses a token, and what happened that it does',
      description: 'The token is neither kept nor logged, and explaining it uses up nothing of it.',
      tags: ['audit'],
      body: ExplainRequest,
      response: { 200: Explanation }
    },
    onRequest: requireRole('admin')
  }, async ({ body: { token, roles } }) => toExplanation(await explanations.ofToken(token, roles)))
}

export default explain
