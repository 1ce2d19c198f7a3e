import { lte, sql } from './drizzle.ts'
import { change } from './engine.ts'
import { revocationInsert } from './end-sessions.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { Revocation, StatusEntry } from './schema/index.ts'
import type { Store } from './store.ts'

const PAGE_SIZE = 1000

/** The limit stands in the text: SQLite would plan a query with a bound one anew at each call. */
export const REVOCATIONS_SINCE = `select sequence, revoked_id, until, kind from revocations where sequence > ?
  order by sequence limit ${PAGE_SIZE}`

// 10 ms for a million. With a condition for each of them it takes 40.
const COUNT_LIVE = 'select (select count(*) from revocations) - (select count(*) from revocations where until <= ?)'

export type RevocationRow = [sequence: number, revokedId: string, until: number, kind: Revocation['kind']]

export function toRevocation ([sequence, revokedId, until, kind]: RevocationRow): Revocation {
  return { sequence, revokedId, until, kind }
}

export function revocationsRepository (store: Store, write: AuditedWrite) {
  const { build, compile, read, tables: { revocations }, text } = store
  const since = text<[sequence: number], RevocationRow>(REVOCATIONS_SINCE)
  const last = text<[], [sequence: number]>('select coalesce(max(sequence), 0) from revocations')
  const countLive = text<[now: number], [count: number]>(COUNT_LIVE)
  const deleteExpired = compile(build.delete(revocations).where(lte(revocations.until, sql.placeholder('now'))))
  const block = revocationInsert(store)

  return {
    /** The most that `since` gives. */
    pageSize: PAGE_SIZE,

    /** Revocations after `sequence`, by whichever process, oldest first. */
    async since (sequence: number): Promise<Revocation[]> {
      return (await read(since, [sequence])).map(toRevocation)
    },

    /** The sequence of the last revocation; 0 when there is none. */
    async last (): Promise<number> {
      const [[sequence] = [0]] = await read(last, [])
      return sequence
    },

    /** The number of revocations that have not expired. It takes 10 ms for a million. */
    async count (now: number): Promise<number> {
      const [[count] = [0]] = await read(countLive, [now])
      return count
    },

    /** Blocks one access token, and sets its bit, until it expires at the time `until`. */
    add: (jti: string, until: number, place?: StatusEntry, entry?: AuditEntry<void>) =>
      write(() => block('jti', jti, until, place && [place]), entry),

    /** Forgets what has expired, and gives the number. */
    prune: (now: number) => write(() => change(deleteExpired, { now }))
  }
}
