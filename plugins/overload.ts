import { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const { nodeTiming } = performance

const LONGEST_TURN_MILLISECONDS = 500

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True on a route that answers however much there is to do. */
    isAlwaysAnswered?: boolean
  }
}

/**
 * Refuses what cannot be answered soon. All requests that have arrived are handled in one turn of the event loop, so the
 * last of them waits for all others: once a turn has taken half a second, what is left of it is told to come back.
 * So what has been let in, and is still to be done, is bounded, however many come.
 */
const overload: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  let turn = -1
  let turnBeganAt = 0

  fastify.addHook('onRequest', ({ raw: { socket }, routeOptions: { config } }, _reply, done) => {
    const thisTurn = nodeTiming.uvMetricsInfo.loopCount
    const time = performance.now()
    if (thisTurn !== turn) {
      turn = thisTurn
      turnBeganAt = time
    }
    const isLate = time - turnBeganAt > LONGEST_TURN_MILLISECONDS && socket instanceof Socket // what is injected waits for nobody
    done(isLate && !config.isAlwaysAnswered ? problem('overloaded') : undefined)
  })
}

export default fp(overload, { name: 'overload', dependencies: ['connections', 'problem', 'request-id', 'security-headers'] })
