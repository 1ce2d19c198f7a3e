import { and, eq, ne, sql } from './drizzle.ts'
import { revocations, sessions } from './schema.ts'
import type { Connection } from './index.ts'

/**
 * How sessions end, inside a deed: their rows go, and their ids are blocked until the last
 * access token issued in them has expired. Each function gives back the ids of those it ended.
 */
export function sessionEndings (connection: Connection) {
  const id = sql.placeholder('id')
  const userId = sql.placeholder('userId')
  const ended = { id: sessions.id, until: sessions.accessExpiresAt }

  const deleteOne = connection.delete(sessions).where(eq(sessions.id, id)).returning(ended).prepare()
  const deleteOwn = connection.delete(sessions).where(and(eq(sessions.id, id), eq(sessions.userId, userId))).returning(ended).prepare()
  const deleteAll = connection.delete(sessions).where(and(eq(sessions.userId, userId), ne(sessions.id, id))).returning(ended).prepare()
  const block = connection.insert(revocations).values({ revokedId: id, until: sql.placeholder('until') }).onConflictDoNothing().prepare()

  function blocked (rows: Array<{ id: string, until: number }>): string[] {
    for (const row of rows) block.run(row)
    return rows.map((row) => row.id)
  }

  return {
    one: (id: string) => blocked(deleteOne.all({ id })),
    own: (id: string, userId: string) => blocked(deleteOwn.all({ id, userId })),
    all: (userId: string, exceptId = '') => blocked(deleteAll.all({ userId, id: exceptId }))
  }
}
