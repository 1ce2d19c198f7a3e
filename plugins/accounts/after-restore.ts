import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { afterRestore: AfterRestore }
}

export interface AfterRestore {
  /**
   * Prepares a restored database. Whatever was revoked or changed after the backup would hold again, so everything issued
   * before this moment ends: sessions and signing keys. `keepSessions` leaves them. Gives the number of sessions that ended.
   */
  run: (options: { keepSessions: boolean }) => Promise<number>
}

const afterRestore: FastifyPluginAsync = async (fastify) => {
  const { audit, config, db, now, signingKeys } = fastify

  async function run ({ keepSessions }: { keepSessions: boolean }): Promise<number> {
    const time = now()
    await db.afterRestore.skipSequences(time, audit.entry('cli', { event: 'restored', details: { keepSessions } }))
    if (keepSessions) return 0
    const count = await db.afterRestore.endSessions()
    if (config.jwtSecret === undefined) for (const { kid } of signingKeys.all()) await signingKeys.revoke(kid, 'cli')
    return count
  }

  fastify.decorate('afterRestore', { run })
}

export default fp(afterRestore, { name: 'after-restore', dependencies: ['audit', 'clock', 'config', 'database', 'signing-keys'] })
