import { createRequire } from 'node:module'

// Drizzle as CommonJS. Node links its ES modules, a dense net of `export *`, in 420 ms; the CommonJS build takes 65 ms
// (docs/decisions/0004-drizzle-as-commonjs.md).
const require = createRequire(import.meta.url)

const queries = require('drizzle-orm') as typeof import('drizzle-orm')
const tables = require('drizzle-orm/sqlite-core') as typeof import('drizzle-orm/sqlite-core')

export const { Param, Placeholder } = queries
export const { and, asc, desc, eq, getTableColumns, gt, gte, inArray, is, isNull, lt, lte, ne, or, sql } = queries
export const { BaseSQLiteDatabase, SQLiteSyncDialect, blob, check, getTableConfig, index, integer, primaryKey, sqliteTable, text } = tables
export const { readMigrationFiles } = require('drizzle-orm/migrator') as typeof import('drizzle-orm/migrator')
