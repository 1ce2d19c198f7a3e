import { asc, gt, lte, sql } from './drizzle.ts'
import { revocationInsert } from './end-sessions.ts'
import { revocations } from './schema/index.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'
import type { Revocation, StatusEntry } from './schema/index.ts'

const PAGE_SIZE = 1000

// 10 ms for a million. With a condition for each of them it takes 40.
const COUNT_LIVE = 'select (select count(*) from revocations) - (select count(*) from revocations where until <= ?)'

type Row = [sequence: number, revokedId: string, until: number, kind: Revocation['kind']]

export function revocationsRepository (connection: Connection, write: AuditedWrite) {
  const { $client: client } = connection
  const { sql: text } = connection.select().from(revocations)
    .where(gt(revocations.sequence, 0)).orderBy(asc(revocations.sequence)).toSQL()
  // Without Drizzle, because every turn that checks a token asks. A bound limit would make SQLite plan it anew each time.
  const since = client.prepare<[sequence: number], Row>(`${text} limit ${PAGE_SIZE}`).raw()
  const countLive = client.prepare<[now: number], number>(COUNT_LIVE).pluck()
  const deleteExpired = connection.delete(revocations).where(lte(revocations.until, sql.placeholder('now'))).prepare()
  const block = revocationInsert(connection)

  return {
    /** The most that `since` gives. */
    pageSize: PAGE_SIZE,

    /**
     * Revocations after `sequence`, by whichever process, oldest first.
     * Synchronous, unlike other reads: every check of a token asks.
     */
    since (sequence: number): Revocation[] {
      return since.all(sequence).map(([sequence, revokedId, until, kind]) => ({ sequence, revokedId, until, kind }))
    },

    /** The number of revocations that have not expired. It takes 10 ms for a million. */
    async count (now: number): Promise<number> {
      return countLive.get(now)! // there is a row, whatever is counted
    },

    /** Blocks one access token, and sets its bit, until it expires at the time `until`. */
    add: (jti: string, until: number, place?: StatusEntry, entry?: AuditEntry<void>) =>
      write(() => block('jti', jti, until, place && [place]), entry),

    /** Forgets what has expired, and gives the number. */
    prune: (now: number) => write(() => deleteExpired.run({ now }).changes)
  }
}
