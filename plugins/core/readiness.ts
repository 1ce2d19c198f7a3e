import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** For so long a good answer is given again: each check costs a commit to disk, and anybody may ask. */
const REMEMBERED_MILLISECONDS = 1000

declare module 'fastify' {
  interface FastifyInstance { readiness: Readiness }
}

export interface Readiness {
  /**
   * Resolves when the database takes a write and gives it back, or did within the last second.
   * @throws the database's error when it does not
   */
  check: () => Promise<void>
}

const readiness: FastifyPluginAsync = async (fastify) => {
  const { db, now } = fastify
  let wroteAt = -Infinity

  async function check () {
    const time = now()
    if (Math.abs(time - wroteAt) < REMEMBERED_MILLISECONDS) return // a clock may be set back, too
    await db.probe.run(time)
    wroteAt = time
  }

  fastify.decorate('readiness', { check })
}

export default fp(readiness, { name: 'readiness', dependencies: ['clock', 'database'] })
