import Client from 'better-sqlite3'

const OPENING_TIMEOUT_MILLISECONDS = 5000 // another process may be migrating

/**
 * Opens a connection that commits durably, to a file or to memory, and leaves the schema as it is. With `isMaker: false` it
 * leaves the mode of the journal, too, and the file must be there.
 */
export function connect (file = ':memory:', { isMaker = true } = {}): Client.Database {
  const client = new Client(file, { timeout: OPENING_TIMEOUT_MILLISECONDS, fileMustExist: !isMaker })
  if (isMaker) client.pragma('journal_mode = WAL')
  client.pragma('synchronous = FULL') // on every open: a reopened WAL file would silently be NORMAL
  client.pragma('trusted_schema = OFF')
  return client
}
