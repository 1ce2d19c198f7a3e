import { asc, eq, sql } from './drizzle.ts'
import { clients } from './schema.ts'
import type { Connection } from './index.ts'
import type { Write } from './writer.ts'

export type Client = typeof clients.$inferSelect

export function clientsRepository (connection: Connection, write: Write) {
  const byId = connection.select().from(clients).where(eq(clients.id, sql.placeholder('id'))).prepare()

  return {
    async findById (id: string): Promise<Client | undefined> {
      return byId.get({ id })
    },

    /** Gives whether it was added: false when there is one of that id. */
    add: (client: Client) => write(() => connection.insert(clients).values(client).onConflictDoNothing().run().changes === 1),

    async list (): Promise<Client[]> {
      return connection.select().from(clients).orderBy(asc(clients.id)).all()
    },

    /** Gives whether there was one. */
    remove: (id: string) => write(() => connection.delete(clients).where(eq(clients.id, id)).run().changes === 1)
  }
}
