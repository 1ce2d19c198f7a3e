// Runs in the thread of db/checkpoints.ts, which has one file for as long as it lives.
import Client from 'better-sqlite3'

let client: Client.Database | undefined

/**
 * Takes what is in the -wal into the database file, as far as nobody is in the way.
 * @throws SqliteError
 */
export default function checkpoint (file: string) {
  client ??= open(file)
  client.pragma('wal_checkpoint(PASSIVE)')
}

function open (file: string) {
  const client = new Client(file, { fileMustExist: true, timeout: 0 })
  client.pragma('synchronous = FULL') // the -wal is on disk before the file is touched, and the file before the -wal is written over
  return client
}
