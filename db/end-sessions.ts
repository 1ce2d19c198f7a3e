import { and, eq, ne, sql } from './drizzle.ts'
import { revocations, revokedStatuses, sessions, statusLists } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { Revocation, Session, StatusEntry } from './schema/index.ts'

export type RevocationKind = Revocation['kind']

/** A session that is over. */
export type EndedSession = Pick<Session, 'id' | 'userId'>

/** Blocks an id until a time, and sets the bits of its tokens, inside an operation. */
export function revocationInsert (connection: Connection) {
  const block = connection.insert(revocations).values({
    kind: sql.placeholder('kind'),
    revokedId: sql.placeholder('id'),
    until: sql.placeholder('until')
  }).onConflictDoNothing().prepare()
  const placeInList = connection.select({
    list: statusLists.id,
    index: sql<number>`${sql.placeholder('index')}`.as('index')
  }).from(statusLists).where(eq(statusLists.id, sql.placeholder('list'))) // no row when the list is gone with its last token
  const setBit = connection.insert(revokedStatuses).select(placeInList).onConflictDoNothing().prepare()

  return (kind: RevocationKind, id: string, until: number, places: StatusEntry[] = []) => {
    block.run({ kind, id, until })
    for (const { list, index } of places) setBit.run({ list, index })
  }
}

/**
 * Ends sessions, inside an operation: their rows go, and their ids are blocked until the last access token issued in them
 * has expired. Each function gives the sessions that it ended.
 */
export function sessionEnder (connection: Connection) {
  const id = sql.placeholder('id')
  const userId = sql.placeholder('userId')
  const ended = { id: sessions.id, userId: sessions.userId, until: sessions.accessExpiresAt, statusEntries: sessions.statusEntries }

  const deleteOne = connection.delete(sessions).where(eq(sessions.id, id)).returning(ended).prepare()
  const deleteOwn = connection.delete(sessions).where(and(eq(sessions.id, id), eq(sessions.userId, userId))).returning(ended).prepare()
  const deleteAll = connection.delete(sessions).where(and(eq(sessions.userId, userId), ne(sessions.id, id))).returning(ended).prepare()
  const block = revocationInsert(connection)

  function blockAll (rows: Array<EndedSession & { until: number, statusEntries: StatusEntry[] }>): EndedSession[] {
    for (const { id, until, statusEntries } of rows) block('sid', id, until, statusEntries)
    return rows.map(({ id, userId }) => ({ id, userId }))
  }

  return {
    one: (id: string) => blockAll(deleteOne.all({ id })),
    own: (id: string, userId: string) => blockAll(deleteOwn.all({ id, userId })),
    all: (userId: string, exceptId = '') => blockAll(deleteAll.all({ userId, id: exceptId }))
  }
}
