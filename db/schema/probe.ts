import { integer, sqliteTable } from '../drizzle.ts'

/** One row, written by the readiness check to see that writing works. */
export const probe = sqliteTable('probe', {
  id: integer().primaryKey(),
  writtenAt: integer().notNull()
})
