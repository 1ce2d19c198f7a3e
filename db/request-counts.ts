import { eq, lte, sql } from './drizzle.ts'
import { requestCounts } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { Write } from './writer.ts'

/** So many requests are let in within so much time. */
export interface Window {
  max: number
  windowMilliseconds: number
}

export function requestCountsRepository (connection: Connection, write: Write) {
  const [key, now, until] = [sql.placeholder('key'), sql.placeholder('now'), sql.placeholder('until')]
  const find = connection.select().from(requestCounts).where(eq(requestCounts.key, key)).prepare()
  // An end that is further ahead than that of a new window was written before the clock was set back.
  const isOver = sql`(${requestCounts.until} <= ${now} or ${requestCounts.until} > excluded.until)`
  const increment = connection.insert(requestCounts).values({ key, count: 1, until }).onConflictDoUpdate({
    target: requestCounts.key,
    set: { count: sql`iif(${isOver}, 1, ${requestCounts.count} + 1)`, until: sql`iif(${isOver}, excluded.until, ${requestCounts.until})` }
  }).returning({ count: requestCounts.count, until: requestCounts.until }).prepare()
  const deleteExpired = connection.delete(requestCounts).where(lte(requestCounts.until, now)).prepare()

  return {
    /**
     * Counts one more request; the first one begins a window. Gives the count, and the end of the window.
     * Beyond `max` nothing is written, so that a refused flood costs the disk nothing.
     */
    async add (key: string, { max, windowMilliseconds }: Window, now: number): Promise<{ count: number, until: number }> {
      const found = find.get({ key })
      const until = now + windowMilliseconds
      if (found && found.count > max && found.until > now && found.until <= until) return found
      return write(() => increment.get({ key, now, until }))
    },

    /** Forgets the windows that are over, and gives their number. */
    prune: (now: number) => write(() => deleteExpired.run({ now }).changes)
  }
}
