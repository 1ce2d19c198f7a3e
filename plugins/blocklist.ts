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
  /** Grows with every revocation: what was not revoked is not until this has grown. Throws as `has` does. */
  revision: () => number
  /** Forgets what has expired, in memory and on disk. */
  prune: () => Promise<void>
}

/**
 * Remembers what was revoked for as long as it would otherwise have been good: an index in memory over the
 * `revocations` table, which is where revocations are made. It reads what is new there before the first answer
 * after something was written, by whichever process: `db.revision` tells.
 */
const blocklist: FastifyPluginAsync = async (fastify) => {
  const { db, now } = fastify
  const revoked = new Map<string, number>() // ids, and until when each is revoked
  let lastSequence = 0
  let lastRevision = -1

  function revision (): number {
    const revision = db.revision()
    if (revision !== lastRevision) catchUp(revision)
    return lastSequence
  }

  function catchUp (revision: number) {
    let page
    do {
      page = db.revocations.since(lastSequence)
      for (const { revokedId, until } of page) revoked.set(revokedId, until)
      lastSequence = page.at(-1)?.sequence ?? lastSequence
    } while (page.length === db.revocations.pageSize)
    lastRevision = revision
  }

  revision() // a million of them take a second: now, not while somebody waits

  fastify.decorate('blocklist', {
    revision,

    has (id) {
      revision()
      return revoked.has(id)
    },

    async prune () {
      const time = now()
      for (const [id, until] of revoked) if (until <= time) revoked.delete(id)
      await db.revocations.prune(time)
    }
  })
}

export default fp(blocklist, { name: 'blocklist', dependencies: ['clock', 'db'] })
