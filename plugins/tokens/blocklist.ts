import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'
import type { Revocation } from '../core/database.ts'

const PRUNE_INTERVAL_MILLISECONDS = 60_000

/** A clock that is corrected by less than this brings nothing back to memory. */
const SPARE_MILLISECONDS = 60_000

declare module 'fastify' {
  interface FastifyInstance { blocklist: Blocklist }
}

export interface Blocklist {
  /** Tells whether this token (`jti`), session (`sid`) or key (`kid`) was revoked, as far as `revision` says. */
  has: (id: string) => boolean
  /**
   * Grows with every revocation, by this process or any other: what was not revoked stays so until this has grown. Undefined
   * while that may be too old to say that a token is good: then `freshen` first.
   * @throws the database's error when it does not answer: what cannot be checked is not good
   */
  revision: () => number | undefined
  /**
   * Resolves when every revocation that was answered before the call is known.
   * @throws the database's error when it does not answer in time
   */
  freshen: () => Promise<void>
  /** Forgets what has expired, on disk a day later. */
  prune: () => Promise<void>
}

/**
 * An index in memory over the table of revocations, which the database tells of every new one. It leaves out what has
 * expired, and reads that again when the clock was set back to before.
 */
const blocklist: FastifyPluginAsync = async (fastify) => {
  const { db, forgetBefore, jobs, now } = fastify
  const revokedUntil = new Map<string, number>()
  let keptFrom = Infinity
  let completeFrom = Infinity // as far as memory has forgotten
  let recalling: Promise<number> | undefined

  function learn (revocations: Revocation[]) {
    for (const { revokedId, until } of revocations) if (until > keptFrom) revokedUntil.set(revokedId, until)
  }

  /** Reads all that has not expired, and gives the last sequence. */
  async function readAll (): Promise<number> {
    keptFrom = now() - SPARE_MILLISECONDS
    let last = 0
    for (let isFull = true; isFull;) {
      const page = await db.revocations.since(last)
      learn(page)
      last = page.at(-1)?.sequence ?? last
      isFull = page.length === db.revocations.pageSize
    }
    completeFrom = keptFrom
    return last
  }

  function recall (): Promise<number> {
    recalling ??= readAll().finally(() => { recalling = undefined })
    return recalling
  }

  function revision (): number | undefined {
    return now() < completeFrom ? undefined : db.news.revision()
  }

  async function freshen () {
    if (now() < completeFrom) await recall()
    await db.news.freshen()
  }

  /** Drops from memory what has expired. */
  function forget () {
    if (recalling) return
    keptFrom = completeFrom = Math.max(completeFrom, now() - SPARE_MILLISECONDS)
    for (const [id, until] of revokedUntil) if (until <= keptFrom) revokedUntil.delete(id)
  }

  async function prune () {
    forget()
    await db.revocations.prune(forgetBefore())
  }

  db.news.follow({ revoked: learn })
  await db.news.begin(await recall()) // a million revocations take a second: now, not while somebody waits
  jobs.everywhere(PRUNE_INTERVAL_MILLISECONDS, 'forget-revocations', async () => forget())
  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-revocations', () => db.revocations.prune(forgetBefore()))
  fastify.decorate('blocklist', { has: (id) => revokedUntil.has(id), revision, freshen, prune })
}

export default fp(blocklist, { name: 'blocklist', dependencies: ['clock', 'database', 'forgetting', 'jobs'] })
