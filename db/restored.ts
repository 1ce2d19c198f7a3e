import { sessionEndings } from './ending.ts'
import { sql } from './drizzle.ts'
import { sessions, statusLists } from './schema.ts'
import type { Note, NotedWrite } from './audit-chain.ts'
import type { Connection } from './index.ts'

/** What must happen to a database that was restored before anybody uses it. */
export function restoredRepository (connection: Connection, write: NotedWrite) {
  return {
    /**
     * Lets the sequence of revocations go on from `now`, in milliseconds since 1970. Followers of the feed may have seen
     * more than the restored database holds, and what is revoked from here on must come after all of that: sequences
     * grow by one, so time is ahead of them all.
     */
    skipSequences: (now: number, note?: Note<void>) => write(() => {
      const { changes } = connection.run(sql`update sqlite_sequence set seq = max(seq, ${now}) where name = 'revocations'`)
      if (changes === 0) connection.run(sql`insert into sqlite_sequence (name, seq) values ('revocations', ${now})`)
    }, note),

    /** Ends every session, and gives no place in a status list again that may have been given out since. Gives how many sessions ended. */
    endSessions: (now: number) => write(() => {
      const end = sessionEndings(connection)
      connection.update(statusLists).set({ closesAt: sql`min(${statusLists.closesAt}, ${now})` }).run()
      const owners = connection.selectDistinct({ id: sessions.userId }).from(sessions).all()
      return owners.flatMap(({ id }) => end.all(id)).length
    })
  }
}
