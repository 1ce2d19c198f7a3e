import { assertVersion, readMigrations, versionOf as versionOfHashes } from '../migrations.ts'
import type Client from 'better-sqlite3'
import type { Version } from '../migrations.ts'

const CREATE_RECORD = 'create table if not exists __drizzle_migrations ' +
  '(id integer primary key, hash text not null, created_at integer not null) strict'

const FIND_TABLES = "select count(*) from sqlite_schema where name not like 'sqlite_%' and name <> '__drizzle_migrations'"

export function versionOf (client: Client.Database, migrations = readMigrations('sqlite')): Version {
  const isThere = client.prepare('select 1 from sqlite_schema where name = \'__drizzle_migrations\'').get()
  const had = isThere ? client.prepare<[], string>('select hash from __drizzle_migrations order by created_at').pluck().all() : []
  const isEmpty = client.prepare(FIND_TABLES).pluck().get() === 0
  return versionOfHashes(had, migrations.map(({ hash }) => hash), isEmpty)
}

/** @throws Error with `code: 'wrong_version'` and a sentence unless the database has had exactly the migrations of this version */
export function assertCurrent (client: Client.Database) {
  assertVersion(versionOf(client))
}

/**
 * Runs the missing migrations, all of them or none, while no other process writes: the process that comes second finds
 * nothing left to do. (Drizzle's own `migrate` looks first and locks later.) Foreign keys are off meanwhile, because a
 * migration that rebuilds a table drops it, which would cascade to its children.
 * @throws Error with `code: 'wrong_version'` and a sentence for a database of a later version or of another program
 */
export function migrate (client: Client.Database) {
  const migrations = readMigrations('sqlite')

  client.pragma('foreign_keys = OFF') // not possible inside a transaction
  client.transaction(() => {
    assertVersion(versionOf(client, migrations), ['empty', 'older'])
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
