import { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const LONGEST_TURN_MILLISECONDS = 500

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True on a route that answers however much there is to do. */
    isAlwaysAnswered?: boolean
  }
}

/**
 * Refuses requests that cannot be answered soon. All requests that have arrived are handled in one turn of the event loop,
 * so the last of them waits for all others: once a turn has taken half a second, the rest of it gets 503.
 * (@fastify/under-pressure decides by an average of the turns before: docs/decisions/0015-overload-by-the-turn.md.)
 */
const overload: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  let turnBeganAt: number | undefined

  function millisecondsOfThisTurn (): number {
    const time = performance.now()
    if (turnBeganAt === undefined) {
      turnBeganAt = time
      setImmediate(() => { turnBeganAt = undefined })
    }
    return time - turnBeganAt
  }

  fastify.addHook('onRequest', ({ raw: { socket }, routeOptions: { config } }, _reply, done) => {
    const isLate = millisecondsOfThisTurn() > LONGEST_TURN_MILLISECONDS && socket instanceof Socket // an injected request waits for nobody
    done(isLate && !config.isAlwaysAnswered ? problem('overloaded') : undefined)
  })
}

export default fp(overload, { name: 'overload' })
