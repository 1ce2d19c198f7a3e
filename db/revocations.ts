import { asc, gt, lte, sql } from './drizzle.ts'
import { blocking } from './ending.ts'
import { revocations } from './schema.ts'
import type { Note, NotedWrite } from './audit-chain.ts'
import type { Connection } from './index.ts'
import type { StatusEntry } from './schema.ts'

const PAGE_SIZE = 1000

export type Revocation = typeof revocations.$inferSelect

export function revocationsRepository (connection: Connection, write: NotedWrite) {
  const { sql: text } = connection.select().from(revocations).where(gt(revocations.sequence, 0)).orderBy(asc(revocations.sequence)).toSQL()
  // Without Drizzle, because every turn that checks a token asks. A bound limit would make SQLite plan it anew each time.
  const since = connection.$client.prepare<[sequence: number], [number, string, number, Revocation['kind']]>(`${text} limit ${PAGE_SIZE}`).raw()
  const countLive = connection.$client.prepare<[now: number], number>('select (select count(*) from revocations) - (select count(*) from revocations where until <= ?)').pluck() // 10 ms for a million, and 40 with a condition for each
  const deleteExpired = connection.delete(revocations).where(lte(revocations.until, sql.placeholder('now'))).prepare()
  const block = blocking(connection)

  return {
    /** How many `since` gives at the most. */
    pageSize: PAGE_SIZE,

    /**
     * What was revoked after `sequence`, by whichever process, oldest first.
     * Synchronous, alone among the reads: whoever checks a token asks before every answer.
     */
    since (sequence: number): Revocation[] {
      return since.all(sequence).map(([sequence, revokedId, until, kind]) => ({ sequence, revokedId, until, kind }))
    },

    /** How many still matter. It takes 10 ms for a million. */
    async count (now: number): Promise<number> {
      return countLive.get(now)! // there is a row, whatever is counted
    },

    /** Blocks one access token, and sets its bit, until it expires at the time `until`. */
    add: (jti: string, until: number, place?: StatusEntry, note?: Note<void>) => write(() => block('jti', jti, until, place && [place]), note),

    /** Forgets what has expired; gives back how many. */
    prune: (now: number) => write(() => deleteExpired.run({ now }).changes)
  }
}
