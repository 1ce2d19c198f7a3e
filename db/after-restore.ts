import { sql } from './drizzle.ts'
import { execute } from './engine.ts'
import { everySessionRepository } from './every-session.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { Store } from './store.ts'

/** Prepares a restored database, before anybody uses it. */
export function afterRestoreRepository (store: Store, write: AuditedWrite) {
  const { build, compile, skipSequence, tables: { statusLists } } = store
  const now = sql.placeholder('now')
  const closeLists = compile(build.update(statusLists)
    .set({ closesAt: sql`case when ${statusLists.closesAt} > ${now} then ${now} else ${statusLists.closesAt} end` }))
  const everySession = everySessionRepository(store, write)

  return {
    /**
     * Continues the sequence of revocations from `now`, in milliseconds since 1970. Followers of the feed may have seen more
     * than the restored database holds, and later revocations must come after all of that: sequences grow by one, so time
     * is ahead of them all. Gives no place in a status list again that may have been given out since.
     */
    skipSequences: (now: number, entry?: AuditEntry<void>) => write(function * () {
      yield * execute(closeLists, { now })
      yield * skipSequence(now)
    }, entry),

    /** Ends every session. Gives how many ended. */
    endSessions: () => everySession.end()
  }
}
