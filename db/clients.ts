import { asc, eq, sql } from './drizzle.ts'
import { clients } from './schema.ts'
import type { Note, NotedWrite } from './audit-chain.ts'
import type { Connection } from './index.ts'

export type Client = typeof clients.$inferSelect

export function clientsRepository (connection: Connection, write: NotedWrite) {
  const byId = connection.select().from(clients).where(eq(clients.id, sql.placeholder('id'))).prepare()

  return {
    async findById (id: string): Promise<Client | undefined> {
      return byId.get({ id })
    },

    /** Gives whether it was added: false when there is one of that id. */
    add: (client: Client, note?: Note<boolean>) => write(() => connection.insert(clients).values(client).onConflictDoNothing().run().changes === 1, note),

    async list (): Promise<Client[]> {
      return connection.select().from(clients).orderBy(asc(clients.id)).all()
    },

    /** Gives whether there was one. */
    remove: (id: string, note?: Note<boolean>) => write(() => connection.delete(clients).where(eq(clients.id, id)).run().changes === 1, note)
  }
}
