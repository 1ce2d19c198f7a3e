import { Type } from '#type'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Health = Type.Object({ status: Type.Literal('ok') })

const health: FastifyPluginAsyncTypebox = async (fastify) => {
  const { db, now } = fastify

  fastify.get('/health/live', {
    schema: { summary: 'Whether the process answers', tags: ['service'], response: { 200: Health } }
  }, async () => ({ status: 'ok' as const }))

  fastify.get('/health/ready', {
    schema: { summary: 'Whether the database takes a write and gives it back', tags: ['service'], response: { 200: Health } }
  }, async () => {
    await db.probe.run(now())
    return { status: 'ok' as const }
  })
}

export default health
