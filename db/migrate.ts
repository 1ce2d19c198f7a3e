import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from './drizzle.ts'
import type Client from 'better-sqlite3'

const MIGRATIONS_FOLDER = fileURLToPath(new URL('migrations', import.meta.url))

const CREATE_RECORD = 'create table if not exists __drizzle_migrations ' +
  '(id integer primary key, hash text not null, created_at integer not null) strict'

const FIND_TABLES = "select count(*) from sqlite_schema where name not like 'sqlite_%' and name <> '__drizzle_migrations'"

/**
 * The migrations that a database has had: all, not yet all, some of a later version, those of another program, or none
 * because it is empty.
 */
export type Version = 'current' | 'older' | 'newer' | 'foreign' | 'empty'

const FAULTS: Record<Exclude<Version, 'current'>, string> = {
  newer: 'A later version of Postern wrote the database. Install that version.',
  foreign: 'The file of DATABASE_URL is no database of Postern. Name another file.',
  older: 'The database is of an earlier version of Postern. Start the service once, which updates it.',
  empty: 'The database is empty. Start the service once.'
}

/** Every migration of this version, in order. */
export function readMigrations () {
  return readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER })
}

export function versionOf (client: Client.Database, migrations = readMigrations()): Version {
  const known = migrations.map(({ hash }) => hash)
  const isThere = client.prepare('select 1 from sqlite_schema where name = \'__drizzle_migrations\'').get()
  const had = isThere ? client.prepare('select hash from __drizzle_migrations order by created_at').pluck().all() : []
  if (had.length === 0) return client.prepare(FIND_TABLES).pluck().get() === 0 ? 'empty' : 'foreign'
  if (had[0] !== known[0]) return 'foreign'
  if (!had.every((hash, i) => hash === known[i])) return 'newer'
  return had.length < known.length ? 'older' : 'current'
}

/** @throws Error with `code: 'wrong_version'` and a sentence unless the database has had exactly the migrations of this version */
export function assertCurrent (client: Client.Database) {
  assertOneOf([], versionOf(client))
}

function assertOneOf (accepted: Version[], version: Version) {
  if (version === 'current' || accepted.includes(version)) return
  throw Object.assign(new Error(FAULTS[version]), { code: 'wrong_version' })
}

/**
 * Runs the missing migrations, all of them or none, while no other process writes: the process that comes second finds
 * nothing left to do. (Drizzle's own `migrate` looks first and locks later.) Foreign keys are off meanwhile, because a
 * migration that rebuilds a table drops it, which would cascade to its children.
 * @throws Error with `code: 'wrong_version'` and a sentence for a database of a later version or of another program
 */
export function migrate (client: Client.Database) {
  const migrations = readMigrations()

  client.pragma('foreign_keys = OFF') // not possible inside a transaction
  client.transaction(() => {
    assertOneOf(['empty', 'older'], versionOf(client, migrations))
    client.exec(CREATE_RECORD)
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
