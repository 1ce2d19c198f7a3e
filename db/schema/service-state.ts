import { integer, sqliteTable, text } from '../drizzle.ts'

/** Statements of the service about itself, for the command line: its settings, and what it has seen. Never a secret. */
export const serviceState = sqliteTable('service_state', {
  name: text().primaryKey(),
  value: text().notNull(),
  recordedAt: integer().notNull()
})
