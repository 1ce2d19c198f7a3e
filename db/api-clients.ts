import { asc, eq, sql } from './drizzle.ts'
import { clients } from './schema/index.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'
import type { Client } from './schema/index.ts'

export function apiClientsRepository (connection: Connection, write: AuditedWrite) {
  const byId = connection.select().from(clients).where(eq(clients.id, sql.placeholder('id'))).prepare()

  return {
    async findById (id: string): Promise<Client | undefined> {
      return byId.get({ id })
    },

    /** Gives false when there is a client of that id. */
    add: (client: Client, entry?: AuditEntry<boolean>) => write(() => {
      const { changes } = connection.insert(clients).values(client).onConflictDoNothing().run()
      return changes === 1
    }, entry),

    async list (): Promise<Client[]> {
      return connection.select().from(clients).orderBy(asc(clients.id)).all()
    },

    /** Gives false when there was no such client. */
    remove: (id: string, entry?: AuditEntry<boolean>) => write(() => {
      const { changes } = connection.delete(clients).where(eq(clients.id, id)).run()
      return changes === 1
    }, entry)
  }
}
