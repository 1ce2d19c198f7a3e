import { sql } from '../drizzle.ts'
import { bigint, boolean, check, customType, index, pgTable, primaryKey } from './pg-core.ts'
import type { Column } from 'drizzle-orm'
import type { Words } from '../sqlite/words.ts'

/** Text is compared by its bytes: the order of a language would change with the system's libraries, and break indexes. */
const TEXT = 'text collate "C"'

const text = customType<{ data: string }>({ dataType: () => TEXT })

/** JSON is kept as text to the letter, as SQLite does: the hashes of the audit log are over it. */
const json = customType<{ data: unknown, driverData: string }>({
  dataType: () => TEXT,
  toDriver: (value) => JSON.stringify(value),
  fromDriver: (text) => JSON.parse(text)
})

const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

const words = {
  table: pgTable,
  text: () => text(),
  number: () => bigint({ mode: 'number' }),
  flag: () => boolean(),
  json: () => json(),
  bytes: () => bytes(),
  /** The number comes from a row that is locked until the commit (`heads`). */
  sequence: () => bigint({ mode: 'number' }).primaryKey(),
  check,
  index,
  primaryKey,
  isFlag: (column: Column) => sql`${column} is not null`,
  isList: (column: Column) => sql`${column} like '[%]'`,
  isActiveAdmin: sql`strpos(roles, '"admin"') > 0 and not disabled`,
  emptyList: sql`'[]'`
}

/** PostgreSQL's words. The repositories are typed by SQLite's, and take the tables of either. */
export const postgresWords = words as unknown as Words
