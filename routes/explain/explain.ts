import { ExplainRequest, Explanation, toExplanation } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

export const prefixOverride = '/tokens'

const explainRoute: FastifyPluginAsyncTypebox = async (fastify) => {
  const { explain, requireRole } = fastify

  fastify.post('/explain', {
    schema: {
      operationId: 'explainToken',
      summary: 'Explain why a token is refused, and what made it so',
      description: 'The token is neither kept nor logged, and explaining it does not use it up.',
      tags: ['audit'],
      body: ExplainRequest,
      response: { 200: Explanation }
    },
    onRequest: requireRole('admin')
  }, async ({ body: { token, roles } }) => toExplanation(await explain.token(token, roles)))
}

export default explainRoute
