import { asc, eq, sql } from './drizzle.ts'
import { change, query } from './engine.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { Client } from './schema/index.ts'
import type { Store } from './store.ts'

export function apiClientsRepository ({ build, compile, read, tables: { clients } }: Store, write: AuditedWrite) {
  const [id, secretHash, createdAt] = [sql.placeholder('id'), sql.placeholder('secretHash'), sql.placeholder('createdAt')]
  const byId = compile(build.select().from(clients).where(eq(clients.id, id)))
  const all = compile(build.select().from(clients).orderBy(asc(clients.id)))
  const insert = compile(build.insert(clients).values({ id, secretHash, createdAt }).onConflictDoNothing())
  const removeOne = compile(build.delete(clients).where(eq(clients.id, id)).returning({ id: clients.id }))

  return {
    async findById (id: string): Promise<Client | undefined> {
      const [client] = await read(byId, { id })
      return client
    },

    /** Gives false when there is a client of that id. */
    add: (client: Client, entry?: AuditEntry<boolean>) => write(function * () {
      return (yield * change(insert, { ...client })) === 1
    }, entry),

    async list (): Promise<Client[]> {
      return read(all, {})
    },

    /** Gives false when there was no such client. */
    remove: (id: string, entry?: AuditEntry<boolean>) => write(function * () {
      return (yield * query(removeOne, { id })).length === 1
    }, entry)
  }
}
