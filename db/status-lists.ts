import { and, asc, eq, gt, lte, sql } from './drizzle.ts'
import { revokedStatuses, statusLists } from './schema/index.ts'
import { CAPACITY } from './status-places.ts'
import type { Connection } from './connection.ts'
import type { Write } from './writer.ts'

export function statusListsRepository (connection: Connection, write: Write) {
  const now = sql.placeholder('now')
  const live = connection.select({ id: statusLists.id }).from(statusLists)
    .where(gt(statusLists.retiresAt, now)).orderBy(asc(statusLists.closesAt)).prepare()
  const ofList = eq(revokedStatuses.list, sql.placeholder('list'))
  const revoked = connection.select({ index: revokedStatuses.index }).from(revokedStatuses).where(ofList).prepare()
  const countRevoked = connection.select({ count: sql<number>`count(*)` }).from(revokedStatuses).where(ofList).prepare()
  const deleteRetired = connection.delete(statusLists)
    .where(and(lte(statusLists.retiresAt, now), lte(statusLists.closesAt, now))).prepare()

  return {
    /** The tokens that a list has room for. */
    capacity: CAPACITY,

    /** The ids of the lists in which some token may still be good. */
    async live (now: number): Promise<string[]> {
      return live.all({ now }).map(({ id }) => id)
    },

    /** The number of bits of a list that are set: another number whenever the list has changed. */
    async countRevoked (list: string): Promise<number> {
      return countRevoked.get({ list })!.count // there is a row, whatever is counted
    },

    /** The places in a list whose bits are set. */
    async revoked (list: string): Promise<number[]> {
      return revoked.all({ list }).map(({ index }) => index)
    },

    /** Forgets the lists of which every token has expired, and gives their number. */
    prune: (now: number) => write(() => deleteRetired.run({ now }).changes)
  }
}
