import type { Words } from '../sqlite/words.ts'

export function clientTables ({ number, table, text }: Words) {
  /**
   * API clients: gateways and services that may introspect, revoke and follow revocations. The secret is 256 random bits, so a
   * plain hash of it tells nothing.
   */
  const clients = table('clients', {
    id: text().primaryKey(),
    secretHash: text().notNull(),
    createdAt: number().notNull()
  })

  return { clients }
}

export type Client = ReturnType<typeof clientTables>['clients']['$inferSelect']
