import { asc, gt, lte, sql } from './drizzle.ts'
import { revocations } from './schema.ts'
import type { Connection } from './index.ts'
import type { Write } from './writer.ts'

export function revocationsRepository (connection: Connection, write: Write) {
  const since = connection.select().from(revocations)
    .where(gt(revocations.sequence, sql.placeholder('sequence'))).orderBy(asc(revocations.sequence)).prepare()
  const deleteExpired = connection.delete(revocations).where(lte(revocations.until, sql.placeholder('now'))).prepare()
  const insert = connection.insert(revocations)
    .values({ revokedId: sql.placeholder('id'), until: sql.placeholder('until') }).onConflictDoNothing().prepare()

  return {
    /**
     * What was revoked after `sequence`, by whichever process, oldest first.
     * Synchronous, alone among the reads: whoever checks a token asks before every answer.
     */
    since: (sequence: number) => since.all({ sequence }),

    /** Blocks one access token (`jti`) or session (`sid`) until the time `until`. */
    add: (id: string, until: number) => write(() => { insert.run({ id, until }) }),

    /** Forgets what has expired; gives back how many. */
    prune: (now: number) => write(() => deleteExpired.run({ now }).changes)
  }
}
