import { sessionEnder } from './end-sessions.ts'
import { sql } from './drizzle.ts'
import { sessions, statusLists } from './schema/index.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'

/** Prepares a restored database, before anybody uses it. */
export function afterRestoreRepository (connection: Connection, write: AuditedWrite) {
  return {
    /**
     * Continues the sequence of revocations from `now`, in milliseconds since 1970. Followers of the feed may have seen more
     * than the restored database holds, and later revocations must come after all of that: sequences grow by one, so time
     * is ahead of them all. Gives no place in a status list again that may have been given out since.
     */
    skipSequences: (now: number, entry?: AuditEntry<void>) => write(() => {
      connection.update(statusLists).set({ closesAt: sql`min(${statusLists.closesAt}, ${now})` }).run()
      const { changes } = connection.run(sql`update sqlite_sequence set seq = max(seq, ${now}) where name = 'revocations'`)
      if (changes === 0) connection.run(sql`insert into sqlite_sequence (name, seq) values ('revocations', ${now})`)
    }, entry),

    /** Ends every session. Gives how many ended. */
    endSessions: () => write(() => {
      const end = sessionEnder(connection)
      const owners = connection.selectDistinct({ id: sessions.userId }).from(sessions).all()
      return owners.flatMap(({ id }) => end.all(id)).length
    })
  }
}
