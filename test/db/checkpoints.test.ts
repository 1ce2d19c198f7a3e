import { existsSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import t from 'tap'
import { createCheckpoints } from '../../db/checkpoints.ts'
import { openDatabase } from '../../db/index.ts'
import { assertList, breakThreads, build, createLog, databaseUrl } from '../helper.ts'
import type { Test } from 'tap'

/** A file of one table, whose -wal is taken into it by nothing else. */
function prepare (t: Test, onError = (error: Error) => { t.error(error) }) {
  const file = join(t.testdir(), 'notes.db')
  const client = new Client(file)
  const { count, close } = createCheckpoints(file, onError)
  t.teardown(async () => { await close(); client.close() })
  client.pragma('journal_mode = WAL')
  client.pragma('wal_autocheckpoint = 0')
  client.exec('create table notes (text text)')
  const insert = client.prepare('insert into notes values (?)')
  return { file, count, note: (text: string) => insert.run(text), holds: (text: string) => readFileSync(file).includes(text) }
}

async function open (t: Test) {
  const url = databaseUrl(t)
  const database = await openDatabase(url)
  const file = url.slice('file:'.length)
  const addClients = (count: number, prefix: string) => Promise.all(Array.from({ length: count }, (_, i) => database.clients.add({ id: `${prefix}${i}`, secretHash: '', createdAt: 0 })))
  return { database, file, addClients, holds: (text: string) => readFileSync(file).includes(text) }
}

t.test('A checkpoint', async (t) => {
  t.test('takes into the file what was committed, after 150 writes', async (t) => {
    const { file, note, holds, count } = prepare(t)
    note('Lovelace')

    await count(149)
    t.notOk(holds('Lovelace'))
    await count(1)

    t.ok(holds('Lovelace'))
    t.ok(statSync(`${file}-wal`).size > 0, 'and leaves the -wal to those who write')
  })

  t.test('counts anew from there', async (t) => {
    const { note, holds, count } = prepare(t)
    await count(150)
    note('Lovelace')

    await count(149)
    t.notOk(holds('Lovelace'))
    await count(1)

    t.ok(holds('Lovelace'))
  })

  t.test('comes with the next write after one that took too long for the next', async (t) => {
    const { note, holds, count } = prepare(t)
    await Promise.all([count(150), count(150)])
    note('Lovelace')
    t.notOk(holds('Lovelace'))

    await count(1)

    t.ok(holds('Lovelace'))
  })

  t.test('leaves what somebody reads, and takes it later', async (t) => {
    const { file, note, holds, count } = prepare(t)
    const reader = new Client(file)
    t.teardown(() => reader.close())
    reader.exec('begin; select * from notes')
    note('Lovelace')

    await count(150)
    t.notOk(holds('Lovelace'))
    reader.exec('commit')
    await count(150)

    t.ok(holds('Lovelace'))
  })

  t.test('that fails is told of, and tried again', async (t) => {
    const errors: Error[] = []
    const { file, note, holds, count } = prepare(t, (error) => { errors.push(error) })
    note('Lovelace')

    renameSync(file, `${file}.away`)
    await count(150)
    t.match(errors, [{ message: 'unable to open database file (SQLITE_CANTOPEN)' }])
    t.notOk(existsSync(file), 'and makes no file')
    renameSync(`${file}.away`, file)
    await count(150)

    t.equal(errors.length, 1)
    t.ok(holds('Lovelace'))
  })

  t.test('whose thread cannot start is told of, and tried again', async (t) => {
    const errors: Error[] = []
    const { note, holds, count } = prepare(t, (error) => { errors.push(error) })
    note('Lovelace')

    let mend = breakThreads(t)
    await count(150)
    t.match(errors, [{ message: 'no memory' }])
    mend()
    mend = breakThreads(t, () => { throw new Error('no thread') })
    await count(150)
    t.match(errors.at(-1), { message: 'no thread' })
    mend()
    await count(150)

    t.ok(holds('Lovelace'))
  })

  t.test('is not made of a database in memory', async (t) => {
    const { count, close } = createCheckpoints(undefined, (error) => { t.error(error) })

    t.equal(await count(1000), undefined)
    t.equal(await close(), undefined)
  })
})

t.test('An open database', async (t) => {
  t.test('has its writes counted', async (t) => {
    const { database, file, addClients, holds } = await open(t)
    const other = new Client(file)
    t.teardown(() => other.close())
    other.pragma('user_version') // it has the file in use, so that closing the service's connection takes nothing into it

    await addClients(149, 'client-')
    t.notOk(holds('client-0'))
    await addClients(1, 'another-')
    await database.close()

    t.ok(holds('client-0'))
    t.ok(holds('another-0'))
  })

  t.test('takes into the file itself what is more than 16 MiB', async (t) => {
    const { database, addClients, holds } = await open(t)
    t.teardown(() => database.close())

    await addClients(1, 'few')
    await addClients(1, 'x'.repeat(7 * 2 ** 20)) // twice in it, once for the index
    t.notOk(holds('few0'))
    await addClients(1, 'y'.repeat(2 * 2 ** 20))

    t.ok(holds('few0'))
  })

  t.test('leaves one file when it is closed after checkpoints', async (t) => {
    const { database, file, addClients } = await open(t)
    await addClients(150, 'client-')

    await database.close()

    t.equal(existsSync(`${file}-wal`), false)
  })
})

t.test('A service says in one line that a checkpoint failed', async (t) => {
  const { lines, logger } = createLog()
  const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) }, logger })
  server.db.observeCommits(() => renameSync(server.db.file!, `${server.db.file}.away`)) // between the commit and the checkpoint

  await Promise.all(Array.from({ length: 150 }, () => server.db.probe.run(1)))
  await server.close()

  assertList(t, lines.filter(({ level }) => level === 50), [{ msg: /checkpoint of the database failed/, err: { message: 'unable to open database file (SQLITE_CANTOPEN)' } }])
})
