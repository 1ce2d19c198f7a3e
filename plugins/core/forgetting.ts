import fp from 'fastify-plugin'
import { followClock } from './follow-clock.ts'
import type { FastifyPluginAsync } from 'fastify'

const FORGET_FROM = 'FORGET_FROM'
const RECORD_INTERVAL_MILLISECONDS = 60_000
const DAY_MILLISECONDS = 86_400_000

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Jobs forget what expired before this time: a day ago, or so many milliseconds. A clock that is set ahead by whatever,
     * and right again within a day, makes them forget nothing that is still wanted then, also over a restart.
     */
    forgetBefore: (spareMilliseconds?: number) => number
  }
}

/** See docs/decisions/0017-clocks-that-jump.md. */
const forgetting: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { db, jobs, now, uptime } = fastify
  const { [FORGET_FROM]: recorded = now() } = isServing ? await db.serviceState.read() : {}
  const time = followClock({ now, uptime, from: Number(recorded), slowest: 0 })

  jobs.every(RECORD_INTERVAL_MILLISECONDS, 'record-time', () => db.serviceState.record({ [FORGET_FROM]: String(time()) }, now()))
  fastify.decorate('forgetBefore', (spareMilliseconds = DAY_MILLISECONDS) => Math.min(now(), time()) - spareMilliseconds)
}

export default fp(forgetting, { name: 'forgetting', dependencies: ['clock', 'database', 'jobs'] })
