import { and, eq, ne, sql } from './drizzle.ts'
import { revocations, revokedStatuses, sessions, statusLists } from './schema.ts'
import type { Connection } from './index.ts'
import type { StatusEntry } from './schema.ts'

export type RevocationKind = typeof revocations.$inferSelect['kind']

/** A session that is over. */
export type EndedSession = Pick<typeof sessions.$inferSelect, 'id' | 'userId'>

/** Blocks an id until a time, and sets the bits of its tokens, inside a deed. */
export function blocking (connection: Connection) {
  const block = connection.insert(revocations)
    .values({ kind: sql.placeholder('kind'), revokedId: sql.placeholder('id'), until: sql.placeholder('until') }).onConflictDoNothing().prepare()
  const inList = connection.select({ list: statusLists.id, index: sql<number>`${sql.placeholder('index')}`.as('index') }).from(statusLists).where(eq(statusLists.id, sql.placeholder('list')))
  const setBit = connection.insert(revokedStatuses).select(inList).onConflictDoNothing().prepare() // nothing, when the list has gone with the last of its tokens

  return (kind: RevocationKind, id: string, until: number, places: StatusEntry[] = []) => {
    block.run({ kind, id, until })
    for (const { list, index } of places) setBit.run({ list, index })
  }
}

/**
 * How sessions end, inside a deed: their rows go, and their ids are blocked until the last
 * access token issued in them has expired. Each function gives back those it ended.
 */
export function sessionEndings (connection: Connection) {
  const id = sql.placeholder('id')
  const userId = sql.placeholder('userId')
  const ended = { id: sessions.id, userId: sessions.userId, until: sessions.accessExpiresAt, statusEntries: sessions.statusEntries }

  const deleteOne = connection.delete(sessions).where(eq(sessions.id, id)).returning(ended).prepare()
  const deleteOwn = connection.delete(sessions).where(and(eq(sessions.id, id), eq(sessions.userId, userId))).returning(ended).prepare()
  const deleteAll = connection.delete(sessions).where(and(eq(sessions.userId, userId), ne(sessions.id, id))).returning(ended).prepare()
  const block = blocking(connection)

  function blocked (rows: Array<EndedSession & { until: number, statusEntries: StatusEntry[] }>): EndedSession[] {
    for (const { id, until, statusEntries } of rows) block('sid', id, until, statusEntries)
    return rows.map(({ id, userId }) => ({ id, userId }))
  }

  return {
    one: (id: string) => blocked(deleteOne.all({ id })),
    own: (id: string, userId: string) => blocked(deleteOwn.all({ id, userId })),
    all: (userId: string, exceptId = '') => blocked(deleteAll.all({ userId, id: exceptId }))
  }
}
