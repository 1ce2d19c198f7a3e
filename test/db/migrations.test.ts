import { hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { connect } from '../../db/sqlite/connection.ts'
import { fileOf } from '../../db/sqlite/index.ts'
import { NO_HOLD, build, databaseUrl } from '../helper.ts'
import { newSession, newUser } from './contract/rows.ts'
import type { Test } from 'tap'

const FOLDER = new URL('../../db/sqlite/migrations/', import.meta.url)

interface Journal { entries: Array<{ tag: string, when: number }> }

const { entries } = JSON.parse(await readFile(new URL('meta/_journal.json', FOLDER), 'utf8')) as Journal
const migrations = await Promise.all(entries.map(async ({ tag, when }) => {
  return { tag, when, sql: await readFile(new URL(`${tag}.sql`, FOLDER), 'utf8') }
}))

/** A row of each table of the first version, in an order that their references allow. */
const rows: Record<string, Record<string, unknown>> = {
  users: {
    id: 'u',
    username: 'Ada',
    username_key: 'ada',
    email: 'ada@example.com',
    name: 'Ada Lovelace',
    password_hash: '$argon2id$',
    password_changed_at: 1,
    roles: '["admin"]',
    disabled: 0,
    created_at: 1
  },
  sessions: {
    id: 's',
    user_id: 'u',
    generation: 3,
    created_at: 1,
    last_used_at: 2,
    expires_at: 9_000_000_000_000,
    access_expires_at: 4,
    ip: '192.0.2.1',
    user_agent: 'curl'
  },
  revocations: { sequence: 7, revoked_id: 'r', until: 9_000_000_000_000 },
  signing_keys: { kid: 'k', algorithm: 'ES256', public_key: 'public', private_key: Buffer.from('sealed'), created_at: 1 },
  probe: { id: 1, written_at: 1 }
}

/** The statements that bring a new database to the version before migration `end`. */
function statementsBefore (end: number): string[] {
  const applied = migrations.slice(0, end).flatMap(({ sql, when }) => [
    ...sql.split('--> statement-breakpoint'),
    `insert into __drizzle_migrations (hash, created_at) values ('${hash('sha256', sql)}', ${when})`
  ])
  return ['create table __drizzle_migrations (id integer primary key, hash text not null, created_at numeric)', ...applied]
}

/** A file at that version, with rows in it if it has tables. */
async function databaseBefore (t: Test, end: number): Promise<string> {
  const url = databaseUrl(t)
  const file = fileOf(url)!
  await mkdir(dirname(file))
  const client = new Client(file)
  client.pragma('foreign_keys = OFF')
  const [bare, first, ...later] = [0, 1, end].map(statementsBefore)
  for (const statement of end === 0 ? bare! : first!) client.exec(statement)
  if (end > 0) insertRows(client)
  for (const statement of later.flat().slice(first!.length)) client.exec(statement)
  client.close()
  return url
}

function insertRows (client: Client.Database) {
  for (const [table, row] of Object.entries(rows)) {
    const columns = Object.keys(row)
    client.prepare(`insert into ${table} (${columns.join(', ')}) values (${columns.map((column) => `@${column}`).join(', ')})`).run(row)
  }
}

/** The rows in a file, read without the service. */
function read<Row> (t: Test, url: string, query: string): Row[] {
  const client = new Client(fileOf(url), { readonly: true })
  t.teardown(() => client.close())
  return client.prepare<[], Row>(query).all()
}

async function open (t: Test, url: string) {
  const database = await openDatabase(url)
  t.teardown(() => database.close())
  return database
}

t.test('The schema', async (t) => {
  t.test('has strict tables only', async (t) => {
    const url = databaseUrl(t)
    await open(t, url)

    const tables = read<{ name: string, strict: number }>(t, url, `select name, strict from pragma_table_list
      where schema = 'main' and type = 'table' and name not like 'sqlite_%'`)

    t.ok(tables.length > 5)
    for (const { name, strict } of tables) t.equal(strict, 1, name)
  })

  t.test('records which migrations made it, so that none runs twice', async (t) => {
    const url = databaseUrl(t)
    await open(t, url)
    await open(t, url)

    const recorded = read(t, url, 'select created_at from __drizzle_migrations order by created_at')
    t.same(recorded, migrations.map(({ when }) => ({ created_at: when })))
  })
})

for (let end = 0; end <= migrations.length; end++) {
  t.test(`A database ${end === 0 ? 'without a table' : `of ${migrations[end - 1]!.tag}`}`, async (t) => {
    t.test('opens, is up to date, and has lost nothing', async (t) => {
      const url = await databaseBefore(t, end)

      const database = await open(t, url)

      t.equal(read(t, url, 'select * from __drizzle_migrations').length, migrations.length)
      for (const [table, row] of Object.entries(rows)) {
        t.same(read(t, url, `select ${Object.keys(row).join(', ')} from ${table}`), end === 0 ? [] : [row], table)
      }
      t.match(await database.users.findByUsername('ada'), end === 0 ? undefined : { id: 'u', roles: ['admin'], disabled: false })
      t.match(await database.sessions.findById('s'), end === 0 ? undefined : { id: 's', roles: ['admin'] })
    })

    t.test('enforces its references afterwards', async (t) => {
      const { users } = await open(t, await databaseBefore(t, end))

      const adding = users.addSignedIn(newUser('b', { username: 'bea' }), newSession('t', 'nobody'), NO_HOLD)

      await t.rejects(adding, { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
      t.equal(await users.findByUsername('bea'), undefined)
    })
  })
}

t.test('A database', async (t) => {
  t.test('is made in a folder and files that its owner alone can read, whatever the umask', async (t) => {
    const umask = process.umask(0)
    t.teardown(() => process.umask(umask))
    const url = databaseUrl(t)
    const file = fileOf(url)!

    await open(t, url)

    t.equal((await stat(dirname(file))).mode & 0o777, 0o700)
    for (const path of [file, `${file}-wal`, `${file}-shm`]) t.equal((await stat(path)).mode & 0o777, 0o600, path)
  })

  t.test('commits durably, the first time and every time after', async (t) => {
    const file = join(t.testdir(), 'postern.db')

    for (const time of ['first', 'second', 'third']) {
      const client = connect(file)
      t.equal(client.pragma('synchronous', { simple: true }), 2, time)
      t.equal(client.pragma('journal_mode', { simple: true }), 'wal', time)
      client.exec(`create table ${time} (id integer primary key) strict`)
      client.close()
    }
  })

  t.test('is opened by the second process after the first one has migrated it', async (t) => {
    const url = await databaseBefore(t, 0)
    const first = new Worker(`
      const { parentPort, workerData: { file, statements } } = require('node:worker_threads')
      const client = new (require('better-sqlite3'))(file)
      client.pragma('journal_mode = WAL')
      client.exec('begin immediate')
      for (const statement of statements) client.exec(statement)
      parentPort.postMessage('locked')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
      client.exec('commit')
      client.close()
    `, { eval: true, workerData: { file: fileOf(url), statements: statementsBefore(migrations.length).slice(1) } })
    await once(first, 'message')

    const second = await open(t, url)

    await t.resolves(second.probe(1))
    t.equal(read(t, url, 'select * from __drizzle_migrations').length, migrations.length)
  })

  t.test('is refused when rows refer to rows that are gone', async (t) => {
    const url = await databaseBefore(t, migrations.length)
    const client = new Client(fileOf(url))
    client.pragma('foreign_keys = OFF')
    client.exec('delete from users')
    client.close()

    await t.rejects(openDatabase(url), { message: 'The database has 1 rows whose parents are missing.' })
  })

  t.test('of a later version, or of another program, stops the start with a sentence, and stays as it is', async (t) => {
    const url = await databaseBefore(t, migrations.length)
    const change = (sql: string) => { const client = new Client(fileOf(url)); client.exec(sql); client.close() }

    const open = () => build(t, { env: { DATABASE_URL: url } })
    const later = 'A later version of Postern wrote the database. Install that version.'
    const foreign = 'The database of DATABASE_URL is no database of Postern. Name another one.'

    change("insert into __drizzle_migrations (hash, created_at) values ('new', 9000000000000)")
    await t.rejects(open(), { code: 'wrong_setting', message: later })
    change('drop table __drizzle_migrations')
    await t.rejects(open(), { code: 'wrong_setting', message: foreign })
    change(`create table __drizzle_migrations (id integer primary key, hash text not null, created_at numeric);
      insert into __drizzle_migrations (hash, created_at) values ('other', 1)`)
    await t.rejects(open(), { code: 'wrong_setting', message: foreign })

    t.same(read(t, url, 'select hash from __drizzle_migrations'), [{ hash: 'other' }])
  })

  for (const [name, content] of [['text', 'Dear diary, '.repeat(1000)], ['noise', 'SQLite format 3\0' + '\x07'.repeat(5000)]] as const) {
    t.test(`that is no database stops the start with a sentence, and stays as it is: ${name}`, async (t) => {
      const url = `file:${join(t.testdir(), 'postern.db')}`
      await writeFile(fileOf(url)!, content)

      await t.rejects(build(t, { env: { DATABASE_URL: url } }), {
        code: 'wrong_setting',
        message: /^DATABASE_URL is "file:[^"]+" but should be a file that can be opened \(file is not a database\)\.$/
      })
      t.equal(await readFile(fileOf(url)!, 'utf8'), content)
    })
  }

  t.test('whose path is something else stops the start with a sentence', async (t) => {
    const folder = t.testdir({ 'a file': '' })

    for (const path of [folder, join(folder, 'a file', 'postern.db')]) {
      await t.rejects(build(t, { env: { DATABASE_URL: `file:${path}` } }), {
        code: 'wrong_setting',
        message: /^DATABASE_URL is "[^"]+" but should be /
      })
    }
  })
})
