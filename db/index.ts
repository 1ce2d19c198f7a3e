import { closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import Client from 'better-sqlite3'
import { auditRepository } from './audit.ts'
import { noting } from './audit-chain.ts'
import { clientsRepository } from './clients.ts'
import { drizzle, readMigrationFiles } from './drizzle.ts'
import { guessesRepository } from './guesses.ts'
import { probeRepository } from './probe.ts'
import { requestCountsRepository } from './request-counts.ts'
import { restoredRepository } from './restored.ts'
import { revocationsRepository } from './revocations.ts'
import { sessionsRepository } from './sessions.ts'
import { signingKeysRepository } from './signing-keys.ts'
import { statusListsRepository } from './status-lists.ts'
import { usersRepository } from './users.ts'
import { createWriter } from './writer.ts'

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('migrations', import.meta.url))
const OPENING_TIMEOUT_MILLISECONDS = 5000 // another process may be migrating
const BUSY_TIMEOUT_MILLISECONDS = 5 // blocks the event loop, so it is short; the writer waits longer without blocking

export type Connection = ReturnType<typeof connect>['connection']
export type Database = Awaited<ReturnType<typeof openDatabase>>

/** The file behind `file:…`, or undefined for a database in memory. */
export function fileOf (url: string): string | undefined {
  const path = url.replace(/^file:/, '')
  return path === ':memory:' ? undefined : path
}

/**
 * Opens the database, making it (folder 0700, file 0600) when it is not there, and brings its schema up to date.
 * Gives the repositories; `close` lets go of the file.
 * @throws SqliteError, or the system's error when the file cannot be made or opened
 */
export async function openDatabase (url: string) {
  const file = fileOf(url)
  if (file) prepareFile(file)
  const assertInPlace = inPlaceCheck(file) // from before the opening on: `restore` may put another file there meanwhile
  const { client, connection } = connect(file)
  migrate(client)
  client.pragma(`busy_timeout = ${BUSY_TIMEOUT_MILLISECONDS}`)

  const { write: writeOnly, writeUnsynced, revision, observeCommits } = createWriter(client, assertInPlace)
  const write = noting(connection, writeOnly)

  return {
    users: usersRepository(connection, write),
    sessions: sessionsRepository(connection, write),
    revocations: revocationsRepository(connection, write),
    restored: restoredRepository(connection, write),
    signingKeys: signingKeysRepository(connection, write),
    statusLists: statusListsRepository(connection, write),
    clients: clientsRepository(connection, write),
    requestCounts: requestCountsRepository(connection, writeUnsynced),
    guesses: guessesRepository(connection, writeUnsynced),
    probe: probeRepository(connection, write),
    audit: auditRepository(connection, write),
    revision,
    observeCommits,
    async close () {
      client.close()
    }
  }
}

function prepareFile (file: string) {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  closeSync(openSync(file, 'a', 0o600)) // SQLite gives its -wal and -shm the same permissions
}

/** A connection that commits durably, to a file or to memory; its schema is as it is. */
export function connect (file = ':memory:') {
  const client = new Client(file, { timeout: OPENING_TIMEOUT_MILLISECONDS })
  client.pragma('journal_mode = WAL')
  client.pragma('synchronous = FULL') // on every open: a reopened WAL file would silently be NORMAL
  client.pragma('trusted_schema = OFF')
  return { client, connection: drizzle({ client, casing: 'snake_case' }) }
}

/**
 * Runs the migrations that are missing, all of them or none, while no other process writes: the one that comes
 * second finds nothing left to do. (Drizzle's own `migrate` looks first and locks later.) Foreign keys are off
 * meanwhile, because a migration that rebuilds a table drops it, which would cascade to its children.
 */
function migrate (client: Client.Database) {
  const migrations = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER })

  client.pragma('foreign_keys = OFF') // not possible inside a transaction
  client.transaction(() => {
    client.exec('create table if not exists __drizzle_migrations (id integer primary key, hash text not null, created_at integer not null) strict')
    const last = Number(client.prepare('select max(created_at) from __drizzle_migrations').pluck().get())
    const record = client.prepare('insert into __drizzle_migrations (hash, created_at) values (?, ?)')

    for (const { sql, hash, folderMillis } of migrations.filter(({ folderMillis }) => folderMillis > last)) {
      for (const statement of sql) client.exec(statement)
      record.run(hash, folderMillis)
    }

    const orphans = client.pragma('foreign_key_check') as unknown[]
    if (orphans.length > 0) throw new Error(`The database has ${orphans.length} rows whose parents are missing.`)
  }).immediate()
  client.pragma('foreign_keys = ON')
}

/**
 * A file that was deleted or moved away goes on taking writes that nobody will find again.
 * The check throws what SQLite itself throws for that outside WAL mode.
 */
function inPlaceCheck (file: string | undefined): () => void {
  if (!file) return () => {}
  const opened = statSync(file).ino
  return () => {
    if (statSync(file, { throwIfNoEntry: false })?.ino === opened) return
    throw Object.assign(new Error(`The database file ${file} was moved or deleted.`), { code: 'SQLITE_READONLY_DBMOVED' })
  }
}
