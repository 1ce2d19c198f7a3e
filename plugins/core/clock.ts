import fp from 'fastify-plugin'
import { followClock } from './follow-clock.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Clock } from './follow-clock.ts'

export type { Clock } from './follow-clock.ts'

export interface ClockOptions {
  now?: Clock
  /** Milliseconds since any moment, by a clock that nobody sets. */
  uptime?: Clock
}

declare module 'fastify' {
  interface FastifyInstance {
    now: Clock
    /**
     * The same for limits on attempts: when the clock is set ahead or back, this follows it slowly, so that waits become
     * neither void nor endless.
     */
    steadyNow: Clock
    /** Milliseconds since any moment, by a clock that nobody sets. */
    uptime: Clock
  }
}

/** The one clock that every lifetime is measured by. A test hands in its own, which nobody sets unless it says so. */
const clock: FastifyPluginAsync<ClockOptions> = async (fastify, { now, uptime = now ?? (() => performance.now()) }) => {
  const clock = now ?? Date.now
  fastify.decorate('now', clock)
  fastify.decorate('uptime', uptime)
  fastify.decorate('steadyNow', followClock({ now: clock, uptime, from: clock(), slowest: 0.5 }))
}

export default fp(clock, { name: 'clock' })
