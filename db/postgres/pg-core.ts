import { createRequire } from 'node:module'

// As CommonJS, for the reason that db/drizzle.ts gives.
const require = createRequire(import.meta.url)

export const {
  PgDatabase, PgDialect, bigint, boolean, check, customType, index, pgTable, primaryKey
} = require('drizzle-orm/pg-core') as typeof import('drizzle-orm/pg-core')
