import Client from 'better-sqlite3'
import { assertComplete, refuseCopy } from '../copy-mark.ts'
import { lockConnection } from './backup.ts'
import { countRows, sqliteReader } from './copy-side.ts'
import { assertCurrent } from './migrate.ts'
import { stateIn } from './inspect.ts'
import type { CopySource } from '../copy-sides.ts'

const LAST_SEQUENCE = "select max(seq) from sqlite_sequence where name = 'revocations'"

/**
 * Opens a database file, from which everybody else is kept out.
 * @throws Error with `code: 'refused'` or `wrong_version` and a sentence when it is in use, damaged, or of another version
 */
export function openSqliteSource (file: string, name: string): CopySource {
  const client = new Client(file, { fileMustExist: true, timeout: 0 })
  try {
    lockConnection(client)
    assertCurrent(client)
    assertComplete(stateIn(client))
  } catch (error) {
    client.close()
    const { code = '', message } = error as NodeJS.ErrnoException // SQLite's, or one with a sentence
    if (code.startsWith('SQLITE_BUSY')) refuseCopy(`${file} is in use. Stop the service.`)
    if (code.startsWith('SQLITE_')) refuseCopy(`${file} is damaged (${message}). Restore a backup.`)
    throw error
  }

  return {
    name,
    read: sqliteReader(client),
    countRows: async () => countRows(client),
    countInstances: async () => 0, // they are kept out
    lastSequence: async () => Number(client.prepare(LAST_SEQUENCE).pluck().get()),
    waitingEvents: async () => [], // an event has its place in the chain when it is written
    async close () { client.close() }
  }
}
