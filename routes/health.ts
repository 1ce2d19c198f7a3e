import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Health = Type.Object({ status: Type.Literal('ok') }, { title: 'Health', description: 'It works' })

const Readiness = Type.Object({ status: Type.Unsafe<'ok' | 'blind'>(Type.Enum(['ok', 'blind'])) }, {
  title: 'Readiness',
  description: 'It works; `blind`: tokens are checked by what is known, because the database does not answer and REVOCATION_BLIND allows it'
})

const health: FastifyPluginAsyncTypebox = async (fastify) => {
  const { readiness } = fastify

  fastify.get('/health/live', {
    schema: { operationId: 'checkLive', summary: 'Check that the process answers', tags: ['service'], response: { 200: Health } },
    config: { open: 'supervisors have no token', isAlwaysAnswered: true }
  }, async () => ({ status: 'ok' as const }))

  fastify.get('/health/ready', {
    schema: {
      operationId: 'checkReady',
      summary: 'Check that the database takes a write and gives it back, or did within the last second',
      tags: ['service'],
      response: { 200: Readiness }
    },
    config: { open: 'load balancers have no token' }
  }, async () => {
    await readiness.check()
    const status: 'ok' | 'blind' = readiness.isBlind() ? 'blind' : 'ok'
    return { status }
  })
}

export default health
