import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { blocklist: Blocklist }
}

export interface Blocklist {
  /**
   * Whether this token (`jti`), session (`sid`) or key (`kid`) was revoked, by this process or any other.
   * Throws SQLite's error when the database does not answer: what cannot be checked is not good.
   */
  has: (id: string) => boolean
  /** Forgets what has expired, in memory and on disk. */
  prune: () => Promise<void>
}

/**
 * Remembers what was revoked for as long as it would otherwise have been good: an index in memory over the
 * `revocations` table, which is where revocations are made. It reads what is new there before
 * the first answer after something was written, by whichever process: `db.revision` tells.
 */
const blocklist: FastifyPluginAsync = async (fastify) => {
  const { db, now } = fastify
  const liveUntil = new Map<string, number>() // in seconds: larger numbers would take 16 bytes each
  let lastSequence = 0
  let lastRevision = -1

  function catchUp (revision: number) {
    let page
    do {
      page = db.revocations.since(lastSequence)
      for (const { revokedId, until } of page) liveUntil.set(revokedId, Math.ceil(until / 1000))
      lastSequence = page.at(-1)?.sequence ?? lastSequence
    } while (page.length === db.revocations.pageSize)
    lastRevision = revision
  }

  catchUp(db.revision()) // a million of them take seconds: now, not while somebody waits

  fastify.decorate('blocklist', {
    has (id) {
      const revision = db.revision()
      if (revision !== lastRevision) catchUp(revision)
      return liveUntil.has(id)
    },

    async prune () {
      const time = now()
      for (const [id, until] of liveUntil) if (until * 1000 <= time) liveUntil.delete(id)
      await db.revocations.prune(time)
    }
  })
}

export default fp(blocklist, { name: 'blocklist', dependencies: ['clock', 'db'] })
