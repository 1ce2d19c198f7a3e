import { assertVersion, readMigrations, versionOf } from '../migrations.ts'
import { createClient } from './clients.ts'
import type { Client, ClientConfig } from 'pg'

/** Migrations take longer than answers: a table may be rewritten. */
const MIGRATION_MILLISECONDS = 600_000

/** Processes that start at the same time migrate one after the other. The lock is the transaction's, so a pooler keeps it, too. */
const LOCK = "select pg_advisory_xact_lock(hashtextextended('postern migrations ' || current_schema(), 0))"

const CREATE_RECORD = 'create table if not exists __drizzle_migrations (id bigint generated always as identity primary key, ' +
  'hash text not null, created_at bigint not null)'

const FIND_RECORD = "select to_regclass(current_schema() || '.__drizzle_migrations') is not null as found"
const FIND_TABLES = `select count(*)::int as count from pg_tables
  where schemaname = current_schema() and tablename <> '__drizzle_migrations'`

const FIND_SERVER = `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
  pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as "isReadOnly", current_schema() as schema`

const OLDEST = 140_000

interface Server { version: number, encoding: string, isReadOnly: boolean, schema: string | null }

/**
 * Looks whether the server can be used, and runs the missing migrations, all of them or none. With `isMaker: false` it only
 * looks whether there are any.
 * @throws Error with `code: 'wrong_version'` or `wrong_setting` and a sentence
 */
export async function migrate (config: ClientConfig, { isMaker }: { isMaker: boolean }) {
  const client = createClient(config, MIGRATION_MILLISECONDS)
  await client.connect()
  try {
    await assertUsable(client)
    if (isMaker) await runMissing(client)
    else assertVersion(await findVersion(client))
  } finally {
    await client.end()
  }
}

/** @throws Error with `code: 'wrong_version'` and a sentence for a server or a database that the service cannot run on */
export async function assertUsable (client: Client) {
  const { version, encoding, isReadOnly, schema } = (await client.query<Server>(FIND_SERVER)).rows[0]! // there is a row, whatever it says
  if (version < OLDEST) refuse(`The server of DATABASE_URL is PostgreSQL ${Math.floor(version / 10_000)}. Postern needs 14 or newer.`)
  if (encoding !== 'UTF8') refuse(`The database of DATABASE_URL has the encoding ${encoding}. Create one with "encoding 'UTF8'".`)
  if (isReadOnly) refuse('The database of DATABASE_URL takes no writes: it is a replica, or read-only. Name the primary.')
  if (schema === null) refuse('The user of DATABASE_URL has no schema in its search_path. Create one, or grant its use.')
}

async function runMissing (client: Client) {
  const migrations = readMigrations('postgres')
  await client.query("begin; set local lock_timeout = '5s'")
  try {
    await client.query(`set local lock_timeout = 0; ${LOCK}; set local lock_timeout = '5s'`)
    assertVersion(await findVersion(client, migrations), ['empty', 'older'])
    await client.query(CREATE_RECORD)
    const { rows: [row] } = await client.query<{ last: string | null }>('select max(created_at) as last from __drizzle_migrations')
    for (const { sql, hash, folderMillis } of migrations.filter(({ folderMillis }) => folderMillis > Number(row?.last))) {
      for (const statement of sql) await client.query(statement)
      await client.query('insert into __drizzle_migrations (hash, created_at) values ($1, $2)', [hash, folderMillis])
    }
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

/** Gives the version of the database that a client is connected to. */
export async function findVersion (client: Client, migrations = readMigrations('postgres')) {
  const { rows: [record] } = await client.query<{ found: boolean }>(FIND_RECORD)
  const { rows: had } = record?.found
    ? await client.query<{ hash: string }>('select hash from __drizzle_migrations order by created_at')
    : { rows: [] }
  const { rows: [tables] } = await client.query<{ count: number }>(FIND_TABLES)
  return versionOf(had.map(({ hash }) => hash), migrations.map(({ hash }) => hash), tables?.count === 0)
}

function refuse (sentence: string): never {
  throw Object.assign(new Error(sentence), { code: 'wrong_version' })
}
