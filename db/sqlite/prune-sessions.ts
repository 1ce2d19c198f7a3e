import { setImmediate } from 'node:timers/promises'
import { change } from '../engine.ts'
import { sqliteDialect } from './dialect.ts'
import type { Engine } from '../engine.ts'

/** Sessions that one turn of the event loop looks at: a fifth of a millisecond. */
const SLICE = 1000

// SQLite's own numbers of rows: in the order of ids the same would take a hundred times as long.

const NEXT_SLICE = `select max(rowid), max(expires_at <= ? and access_expires_at <= ?)
  from (select rowid, expires_at, access_expires_at from sessions where rowid > ? order by rowid limit ${SLICE})`

const DELETE = 'delete from sessions where rowid > ? and rowid <= ? and expires_at <= ? and access_expires_at <= ?'

/** Builds `pruneSessions`, which looks at all sessions, a slice in each turn of the event loop. */
export function sessionPruning ({ read, write }: Pick<Engine, 'read' | 'write'>) {
  const { text } = sqliteDialect
  const nextSlice = text<[now: number, now: number, after: number], [last: number | null, isDue: number]>(NEXT_SLICE)
  const remove = text<[after: number, last: number, now: number, now: number]>(DELETE)

  return async (now: number): Promise<number> => {
    let pruned = 0
    for (let after = 0; ;) {
      const from = after
      const [[last, isDue] = [null, 0]] = await read(nextSlice, [now, now, from])
      if (last === null) return pruned
      if (isDue) pruned += await write(() => change(remove, [from, last, now, now]))
      else await setImmediate()
      after = last
    }
  }
}
