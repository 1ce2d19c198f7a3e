import { and, asc, eq, gt, lte, sql } from './drizzle.ts'
import { change } from './engine.ts'
import { CAPACITY } from './status-places.ts'
import type { Write } from './engine.ts'
import type { Store } from './store.ts'

export function statusListsRepository ({ build, compile, read, tables: { revokedStatuses, statusLists }, text }: Store, write: Write) {
  const now = sql.placeholder('now')
  const live = compile(build.select({ id: statusLists.id }).from(statusLists)
    .where(gt(statusLists.retiresAt, now)).orderBy(asc(statusLists.closesAt)))
  const revoked = compile(build.select({ index: revokedStatuses.index }).from(revokedStatuses)
    .where(eq(revokedStatuses.list, sql.placeholder('list'))))
  const countRevoked = text<[list: string], [count: number]>('select count(*) from revoked_statuses where list = ?')
  const deleteRetired = compile(build.delete(statusLists).where(and(lte(statusLists.retiresAt, now), lte(statusLists.closesAt, now))))

  return {
    /** The tokens that a list has room for. */
    capacity: CAPACITY,

    /** The ids of the lists in which some token may still be good. */
    async live (now: number): Promise<string[]> {
      return (await read(live, { now })).map(({ id }) => id)
    },

    /** The number of bits of a list that are set: another number whenever the list has changed. */
    async countRevoked (list: string): Promise<number> {
      const [[count] = [0]] = await read(countRevoked, [list])
      return count
    },

    /** The places in a list whose bits are set. */
    async revoked (list: string): Promise<number[]> {
      return (await read(revoked, { list })).map(({ index }) => index)
    },

    /** Forgets the lists of which every token has expired, and gives their number. */
    prune: (now: number) => write(() => change(deleteRetired, { now }))
  }
}
