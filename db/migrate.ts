import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from './drizzle.ts'
import type Client from 'better-sqlite3'

const MIGRATIONS_FOLDER = fileURLToPath(new URL('migrations', import.meta.url))

const CREATE_RECORD = 'create table if not exists __drizzle_migrations ' +
  '(id integer primary key, hash text not null, created_at integer not null) strict'

/** Every migration of this version, in order. */
export function readMigrations () {
  return readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER })
}

/**
 * Runs the missing migrations, all of them or none, while no other process writes: the process that comes second finds
 * nothing left to do. (Drizzle's own `migrate` looks first and locks later.) Foreign keys are off meanwhile, because a
 * migration that rebuilds a table drops it, which would cascade to its children.
 */
export function migrate (client: Client.Database) {
  const migrations = readMigrations()

  client.pragma('foreign_keys = OFF') // not possible inside a transaction
  client.transaction(() => {
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
