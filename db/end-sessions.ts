import { and, eq, gt, lte, ne, sql } from './drizzle.ts'
import { execute, query } from './engine.ts'
import type { Operation } from './engine.ts'
import type { Revocation, Session, StatusEntry } from './schema/index.ts'
import type { Dialect } from './store.ts'

export type RevocationKind = Revocation['kind']

/** A session that is over. */
export type EndedSession = Pick<Session, 'id' | 'userId'>

/** On PostgreSQL a revocation takes its sequence from a row that is locked until the commit: they come in the order of commits. */
const BLOCK = 'insert into revocations (kind, revoked_id, until) values (?, ?, ?) on conflict do nothing'
const BLOCK_IN_ORDER = `with head as (update heads set value = value + 1 where name = 'revocations' returning value)
  insert into revocations (sequence, kind, revoked_id, until) select value, ?, ?, ? from head on conflict do nothing`

/** Sets a bit, unless the list is gone with its last token. */
const SET_BIT = `insert into revoked_statuses (list, "index") select id, cast(? as bigint) from status_lists where id = ?
  on conflict do nothing`

/** Blocks an id until a time, and sets the bits of its tokens, inside an operation. */
export function revocationInsert ({ text }: Dialect) {
  const block = text<[kind: RevocationKind, id: string, until: number]>(BLOCK, BLOCK_IN_ORDER, { revokes: true })
  const setBit = text<[index: number, list: string]>(SET_BIT)

  return function * (kind: RevocationKind, id: string, until: number, places: StatusEntry[] = []): Operation<void> {
    for (const { list, index } of places) yield * execute(setBit, [index, list])
    yield * execute(block, [kind, id, until]) // last: on PostgreSQL it holds a lock that every revocation takes
  }
}

/**
 * Ends sessions, inside an operation: their rows go, and their ids are blocked until the last access token issued in them
 * has expired. Each function gives the sessions that it ended.
 */
export function sessionEnder (dialect: Dialect) {
  const { build, compile, tables: { sessions } } = dialect
  const id = sql.placeholder('id')
  const userId = sql.placeholder('userId')
  const ended = { id: sessions.id, userId: sessions.userId, until: sessions.accessExpiresAt, statusEntries: sessions.statusEntries }
  const own = and(eq(sessions.id, id), eq(sessions.userId, userId))
  const others = and(eq(sessions.userId, userId), ne(sessions.id, id))

  // Who finds nothing to end is answered, too, when no process lets it in any more: somebody else may be ending it.
  const deleteOne = compile(build.delete(sessions).where(eq(sessions.id, id)).returning(ended), { revokes: true })
  const deleteOwn = compile(build.delete(sessions).where(own).returning(ended), { revokes: true })
  const deleteAll = compile(build.delete(sessions).where(others).returning(ended), { revokes: true })
  const range = and(gt(sessions.id, sql.placeholder('after')), lte(sessions.id, sql.placeholder('last')))
  const deleteRange = compile(build.delete(sessions).where(range).returning(ended), { revokes: true })
  const block = revocationInsert(dialect)

  function * blockAll (rows: Array<EndedSession & { until: number, statusEntries: StatusEntry[] }>): Operation<EndedSession[]> {
    for (const { id, until, statusEntries } of rows) yield * block('sid', id, until, statusEntries)
    return rows.map(({ id, userId }) => ({ id, userId }))
  }

  return {
    * one (id: string) { return yield * blockAll(yield * query(deleteOne, { id })) },
    * own (id: string, userId: string) { return yield * blockAll(yield * query(deleteOwn, { id, userId })) },
    * all (userId: string, exceptId = '') { return yield * blockAll(yield * query(deleteAll, { userId, id: exceptId })) },
    /** Those whose ids come after `after`, and not after `last`. */
    * range (after: string, last: string) { return yield * blockAll(yield * query(deleteRange, { after, last })) }
  }
}
