import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Client from 'better-sqlite3'
import { inspect } from './inspect.ts'

/** In one step: with several, SQLite begins anew whenever another process has written meanwhile. */
const ALL_PAGES = 0x7fffffff

const JOURNALS = ['-wal', '-shm', '-journal']

/**
 * Makes a new database file (0600), which `fill` fills under another name. It appears when it is whole, has been checked, and is
 * on disk.
 * @throws Error whose message finishes the sentence "It was not made: …", or that of `fill`
 */
export async function makeDatabaseFile (target: string, fill: (draft: string) => Promise<unknown>) {
  const draft = `${target}.partial`
  closeSync(openSync(draft, 'wx', 0o600))
  try {
    if (existsSync(target)) throw new Error('there is such a file already, so name a new one')
    await fill(draft)
    settle(draft)
    const { faults: [fault] } = inspect(draft)
    if (fault !== undefined) throw new Error(`the database is not sound (${fault}), so see what "doctor" says`)
    renameSync(draft, target)
    sync(dirname(target))
  } finally {
    removeDatabase(draft)
  }
}

/** Copies a database into a file that is there, as it is at one moment, while others go on writing to it. */
export async function copyPages (file: string, draft: string) {
  const source = new Client(file, { fileMustExist: true })
  await source.backup(draft, { progress: () => ALL_PAGES }).finally(() => source.close())
}

/** Makes a database that nobody has open one file on disk, with nothing beside it. */
export function settle (file: string) {
  const client = new Client(file, { fileMustExist: true })
  client.pragma('journal_mode = DELETE')
  client.close()
  sync(file)
}

/**
 * Keeps everybody out of a database file, and takes what is in its -wal into it. Gives what lets go of it.
 * A file that is no database, or is none any more, cannot be locked and is not.
 * @throws SqliteError with `code: 'SQLITE_BUSY'` while anybody has it open
 */
export function lockDatabase (file: string): () => void {
  const client = new Client(file, { fileMustExist: true, timeout: 0 })
  try {
    lockConnection(client)
  } catch (error) {
    client.close()
    if ((error as NodeJS.ErrnoException).code?.startsWith('SQLITE_BUSY')) throw error
    return () => {}
  }
  return () => client.close()
}

/**
 * The same for a connection, which alone may read then.
 * @throws SqliteError
 */
export function lockConnection (client: Client.Database) {
  client.pragma('journal_mode = DELETE')
  client.pragma('locking_mode = EXCLUSIVE') // not before: a kill would leave a journal behind
  client.exec('begin exclusive')
}

/**
 * Puts `candidate` in the place of `file`, which stays as `aside` if there was one. Whenever this is interrupted,
 * either of them is there, and whole.
 */
export function replaceDatabase (candidate: string, file: string, aside: string) {
  if (existsSync(file)) linkSync(file, aside)
  // SQLite would take the journals of the old file for those of the new one.
  for (const suffix of JOURNALS) if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix)
  renameSync(candidate, file)
  sync(dirname(file))
}

/** Removes a database file with all that SQLite may have left beside it; there need not be any. */
export function removeDatabase (file: string) {
  for (const suffix of ['', ...JOURNALS]) rmSync(file + suffix, { force: true })
}

function sync (path: string) {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
