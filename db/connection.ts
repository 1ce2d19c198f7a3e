import Client from 'better-sqlite3'
import { drizzle } from './drizzle.ts'

const OPENING_TIMEOUT_MILLISECONDS = 5000 // another process may be migrating

export type Connection = ReturnType<typeof connect>['connection']

/** Opens a connection that commits durably, to a file or to memory, and leaves the schema as it is. */
export function connect (file = ':memory:') {
  const client = new Client(file, { timeout: OPENING_TIMEOUT_MILLISECONDS })
  client.pragma('journal_mode = WAL')
  client.pragma('synchronous = FULL') // on every open: a reopened WAL file would silently be NORMAL
  client.pragma('trusted_schema = OFF')
  return { client, connection: drizzle({ client, casing: 'snake_case' }) }
}
