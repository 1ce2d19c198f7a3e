import { eq, lte, sql } from './drizzle.ts'
import { change, queryOne } from './engine.ts'
import type { Write } from './engine.ts'
import type { Store } from './store.ts'

/** So many requests are let in within so much time. */
export interface Window {
  max: number
  windowMilliseconds: number
}

export function requestCountsRepository ({ build, compile, read, tables: { requestCounts } }: Store, write: Write) {
  const [key, now, until] = [sql.placeholder('key'), sql.placeholder('now'), sql.placeholder('until')]
  const find = compile(build.select().from(requestCounts).where(eq(requestCounts.key, key)))
  // An end that is further ahead than that of a new window was written before the clock was set back.
  const isOver = sql`(${requestCounts.until} <= ${now} or ${requestCounts.until} > excluded.until)`
  const increment = compile(build.insert(requestCounts).values({ key, count: 1, until }).onConflictDoUpdate({
    target: requestCounts.key,
    set: {
      count: sql`case when ${isOver} then 1 else ${requestCounts.count} + 1 end`,
      until: sql`case when ${isOver} then excluded.until else ${requestCounts.until} end`
    }
  }).returning({ count: requestCounts.count, until: requestCounts.until }))
  const deleteExpired = compile(build.delete(requestCounts).where(lte(requestCounts.until, now)))

  return {
    /**
     * Counts one more request; the first one begins a window. Gives the count, and the end of the window.
     * Beyond `max` nothing is written, so that a refused flood costs the disk nothing.
     */
    async add (key: string, { max, windowMilliseconds }: Window, now: number): Promise<{ count: number, until: number }> {
      const [found] = await read(find, { key })
      const until = now + windowMilliseconds
      if (found && found.count > max && found.until > now && found.until <= until) return found
      return write(function * () {
        return (yield * queryOne(increment, { key, now, until }))! // it is inserted or updated
      })
    },

    /** Forgets the windows that are over, and gives their number. */
    prune: (now: number) => write(() => change(deleteExpired, { now }))
  }
}
