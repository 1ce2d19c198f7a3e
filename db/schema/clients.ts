import { integer, sqliteTable, text } from '../drizzle.ts'

/**
 * API clients: gateways and services that may introspect, revoke and follow revocations. The secret is 256 random bits, so a plain hash
 * of it tells nothing.
 */
export const clients = sqliteTable('clients', {
  id: text().primaryKey(),
  secretHash: text().notNull(),
  createdAt: integer().notNull()
})

export type Client = typeof clients.$inferSelect
