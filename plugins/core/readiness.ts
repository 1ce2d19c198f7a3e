import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** For so long a good answer is given again: each check costs a commit to disk, and anybody may ask. */
const REMEMBERED_MILLISECONDS = 1000

declare module 'fastify' {
  interface FastifyInstance { readiness: Readiness }
}

export interface Readiness {
  /**
   * Resolves when the database takes a write and gives it back, or did within the last second; of PostgreSQL within the lease.
   * @throws the database's error when it does not, and `database_unavailable` while the clocks differ by half a minute
   */
  check: () => Promise<void>
  /** True while tokens are checked by what is known, because REVOCATION_BLIND allows it. */
  isBlind: () => boolean
}

const readiness: FastifyPluginAsync = async (fastify) => {
  const { databaseEvents, db, now, problem } = fastify
  let wroteAt = -Infinity

  async function check () {
    if (!databaseEvents.isClockRight()) throw problem('database_unavailable') // what expires there and here would differ
    const time = now()
    if (!db.isShared && Math.abs(time - wroteAt) < REMEMBERED_MILLISECONDS) return // a clock may be set back, too
    await db.probe(time)
    wroteAt = time
  }

  fastify.decorate('readiness', { check, isBlind: databaseEvents.isBlind })
}

export default fp(readiness, { name: 'readiness', dependencies: ['clock', 'database', 'problems'] })
