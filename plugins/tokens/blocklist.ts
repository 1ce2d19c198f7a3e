import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const PRUNE_INTERVAL_MILLISECONDS = 60_000

/** A clock that is corrected by less than this brings nothing back to memory. */
const SPARE_MILLISECONDS = 60_000

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
  /** Forgets what has expired, in memory, and on disk a day later. */
  prune: () => Promise<void>
}

/**
 * An index in memory over the table of revocations. It reads what is new there before the first answer after something
 * was written, by whichever process (`db.revision`). It leaves out what has expired, and reads that again when the clock was
 * set back to before.
 */
const blocklist: FastifyPluginAsync = async (fastify) => {
  const { db, forgetBefore, jobs, now } = fastify
  const revokedUntil = new Map<string, number>()
  let lastSequence = 0
  let lastRevision = -1
  let expiredBefore = Infinity // as far as memory has forgotten

  function revision (): number {
    const revision = db.revision()
    if (now() < expiredBefore) readAll()
    else if (revision !== lastRevision) readSince(lastSequence)
    lastRevision = revision
    return lastSequence
  }

  function readAll () {
    expiredBefore = now() - SPARE_MILLISECONDS
    readSince(0)
  }

  function readSince (sequence: number) {
    let page
    do {
      page = db.revocations.since(sequence)
      for (const { revokedId, until } of page) if (until > expiredBefore) revokedUntil.set(revokedId, until)
      sequence = page.at(-1)?.sequence ?? sequence
    } while (page.length === db.revocations.pageSize)
    lastSequence = Math.max(lastSequence, sequence)
  }

  function has (id: string): boolean {
    revision()
    return revokedUntil.has(id)
  }

  async function prune () {
    expiredBefore = Math.max(expiredBefore, now() - SPARE_MILLISECONDS)
    for (const [id, until] of revokedUntil) if (until <= expiredBefore) revokedUntil.delete(id)
    await db.revocations.prune(forgetBefore())
  }

  revision() // a million revocations take a second: now, not while somebody waits
  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-blocklist', prune)
  fastify.decorate('blocklist', { has, revision, prune })
}

export default fp(blocklist, { name: 'blocklist', dependencies: ['clock', 'database', 'forgetting', 'jobs'] })
