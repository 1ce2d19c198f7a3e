import { BaseSQLiteDatabase, SQLiteSyncDialect } from '../drizzle.ts'
import { statementMakers } from '../store.ts'
import { tables } from './tables.ts'
import { sqliteWords } from './words.ts'
import type { Dialect } from '../store.ts'

/** SQLite's tables and statements. */
export const sqliteDialect: Dialect = {
  name: 'sqlite',
  tables,
  isActiveAdmin: sqliteWords.isActiveAdmin,
  // Drizzle's session is for queries, of which it makes only the text here.
  build: new BaseSQLiteDatabase('sync', new SQLiteSyncDialect({ casing: 'snake_case' }), undefined as never, undefined),
  * lockHead () {}, // an operation has the write lock
  * lockRows () {},
  ...statementMakers('', (sql) => sql)
}
