import { createRequire } from 'node:module'

// Drizzle as CommonJS. Node links its ES modules, a dense net of `export *`, in 270 ms and with
// 190 MB of memory that stay; its CommonJS build takes 50 ms and 20 MB (docs/decisions/0004-drizzle-as-commonjs.md).
const require = createRequire(import.meta.url)

export const { and, asc, desc, eq, getTableColumns, gt, gte, inArray, isNull, lt, lte, ne, or, sql } = require('drizzle-orm') as typeof import('drizzle-orm')
export const { blob, check, index, integer, primaryKey, sqliteTable, text } = require('drizzle-orm/sqlite-core') as typeof import('drizzle-orm/sqlite-core')
export const { drizzle } = require('drizzle-orm/better-sqlite3') as typeof import('drizzle-orm/better-sqlite3')
export const { readMigrationFiles } = require('drizzle-orm/migrator') as typeof import('drizzle-orm/migrator')
