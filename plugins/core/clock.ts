import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** The time in milliseconds since 1970. */
export type Clock = () => number

declare module 'fastify' {
  interface FastifyInstance { now: Clock }
}

/** The one clock that every lifetime is measured by. A test hands in its own. */
const clock: FastifyPluginAsync<{ now?: Clock }> = async (fastify, { now = Date.now }) => {
  fastify.decorate('now', now)
}

export default fp(clock, { name: 'clock' })
