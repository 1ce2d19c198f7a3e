import { getTableColumns, sql } from './drizzle.ts'
import type { SQLiteTable } from 'drizzle-orm/sqlite-core'

type Placeholder = ReturnType<typeof sql.placeholder>

/** A placeholder for every column of a table, with the column's own name. */
export function placeholdersOf<Table extends SQLiteTable> (table: Table): Record<keyof Table['$inferSelect'], Placeholder> {
  const names = Object.keys(getTableColumns(table))
  const placeholders = names.map((name) => [name, sql.placeholder(name)])
  return Object.fromEntries(placeholders) as Record<keyof Table['$inferSelect'], Placeholder> // a row is these columns
}
