import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Health = Type.Object({ status: Type.Literal('ok') })

/** For so long a good answer is given again: each would cost a commit to disk, and anybody may ask. */
const REMEMBERED_MILLISECONDS = 1000

const health: FastifyPluginAsyncTypebox = async (fastify) => {
  const { db, now } = fastify
  let wroteAt = -Infinity

  fastify.get('/health/live', {
    schema: { summary: 'Whether the process answers', tags: ['service'], response: { 200: Health } },
    config: { isAlwaysAnswered: true }
  }, async () => ({ status: 'ok' as const }))

  fastify.get('/health/ready', {
    schema: { summary: 'Whether the database takes a write and gives it back, or did within the last second', tags: ['service'], response: { 200: Health } }
  }, async () => {
    const time = now()
    if (Math.abs(time - wroteAt) >= REMEMBERED_MILLISECONDS) { // a clock may be set back, too
      await db.probe.run(time)
      wroteAt = time
    }
    return { status: 'ok' as const }
  })
}

export default health
