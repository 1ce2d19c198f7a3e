import { sql } from '../drizzle.ts'
import { query } from '../engine.ts'
import { statementMakers } from '../store.ts'
import { PgDatabase, PgDialect } from './pg-core.ts'
import { tables } from './tables.ts'
import type { Dialect } from '../store.ts'

/** Numbers the placeholders of a statement. None of the statements has a question mark in a text. */
export function numbered (sql: string): string {
  let count = 0
  return sql.replaceAll('?', () => `$${++count}`)
}

const makers = statementMakers(' for update', numbered)

const head = makers.text<[name: string], [value: number]>('', 'select value from heads where name = ?', { locks: true })

/** PostgreSQL's tables and statements. */
export const postgresDialect: Dialect = {
  name: 'postgres',
  tables,
  isActiveAdmin: sql`strpos(roles, '"admin"') > 0 and not disabled`,
  // Drizzle's session is for queries, of which it makes only the text here. The repositories are typed by SQLite's builder,
  // which has the same functions.
  build: new PgDatabase(new PgDialect({ casing: 'snake_case' }), undefined as never, undefined) as unknown as Dialect['build'],
  * lockHead (name) { yield * query(head, [name]) },
  * lockRows (statement) { yield * query(statement, {}) },
  ...makers
}
