import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const PRUNE_INTERVAL_MILLISECONDS = 60_000

declare module 'fastify' {
  interface FastifyInstance { blocklist: Blocklist }
}

export interface Blocklist {
  /**
   * Tells whether this token (`jti`), session (`sid`) or key (`kid`) was revoked, by this process or any other.
   * @throws the database's error when it does not answer: what cannot be checked is not good
   */
  has: (id: string) => boolean
  /**
   * Grows with every revocation: what was not revoked stays so until this has grown.
   * @throws as `has` does
   */
  revision: () => number
  /** Forgets what has expired, in memory and on disk. */
  prune: () => Promise<void>
}

/**
 * An index in memory over the table of revocations. It reads what is new there before the first answer after something
 * was written, by whichever process (`db.revision`).
 */
const blocklist: FastifyPluginAsync = async (fastify) => {
  const { db, jobs, now } = fastify
  const revokedUntil = new Map<string, number>()
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
      for (const { revokedId, until } of page) revokedUntil.set(revokedId, until)
      lastSequence = page.at(-1)?.sequence ?? lastSequence
    } while (page.length === db.revocations.pageSize)
    lastRevision = revision
  }

  function has (id: string): boolean {
    revision()
    return revokedUntil.has(id)
  }

  async function prune () {
    const time = now()
    for (const [id, until] of revokedUntil) if (until <= time) revokedUntil.delete(id)
    await db.revocations.prune(time)
  }

  revision() // a million revocations take a second: now, not while somebody waits
  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-blocklist', prune)
  fastify.decorate('blocklist', { has, revision, prune })
}

export default fp(blocklist, { name: 'blocklist', dependencies: ['clock', 'database', 'jobs'] })
