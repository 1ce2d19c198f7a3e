import { blob, check, index, integer, primaryKey, sql, sqliteTable, text } from '../drizzle.ts'
import type { Column } from 'drizzle-orm'

/** The words in which the tables are defined, as SQLite takes them. PostgreSQL has its own for each (db/postgres/words.ts). */
export const sqliteWords = {
  table: sqliteTable,
  text,
  /** A whole number: of milliseconds since 1970, of a sequence, of a count. */
  number: () => integer(),
  flag: () => integer({ mode: 'boolean' }),
  json: () => text({ mode: 'json' }),
  bytes: () => blob({ mode: 'buffer' }),
  /** A number that grows by one with every row, and is never given again. */
  sequence: () => integer().primaryKey({ autoIncrement: true }),
  check,
  index,
  primaryKey,
  isFlag: (column: Column) => sql`${column} in (0, 1)`,
  isList: (column: Column) => sql`json_type(${column}) = 'array'`,
  /** Tells active administrators, in the words of the index that finds them. */
  isActiveAdmin: sql`instr(roles, '"admin"') and not disabled`,
  emptyList: sql`'[]'`
}

export type Words = typeof sqliteWords
