// Runs in the thread of db/checkpoints.ts, which has one file for as long as it lives.
import Client from 'better-sqlite3'

let client: Client.Database | undefined

/**
 * Takes what is in the -wal into the database file, as far as nobody is in the way. Passively: any other way takes the
 * write lock, and the event loop could not commit meanwhile.
 * @throws Error whose message names SQLite's code and reason: of an error, nothing else reaches another thread
 */
export default function checkpoint (file: string) {
  try {
    client ??= open(file)
    client.pragma('wal_checkpoint(PASSIVE)')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException // SQLite throws nothing else
    throw new Error(`${message} (${code})`)
  }
}

function open (file: string) {
  const client = new Client(file, { fileMustExist: true })
  client.pragma('synchronous = FULL') // whatever the default is: the -wal is on disk before the file is touched, the file before the -wal begins anew
  return client
}
