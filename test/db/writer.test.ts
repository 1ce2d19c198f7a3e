import { rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { createWriter } from '../../db/sqlite/writer.ts'
import { databaseUrl } from '../helper.ts'
import type { Test } from 'tap'

/** A writer to a file with one table, and another connection to the same file. */
function prepare (t: Test) {
  const file = join(t.testdir(), 'items.db')
  const [client, other] = [new Client(file, { timeout: 0 }), new Client(file, { timeout: 0 })]
  t.teardown(() => { client.close(); other.close() })
  client.pragma('journal_mode = WAL')
  client.exec(`create table items (text text primary key);
    create trigger fatal before insert on items when new.text = 'fatal' begin select raise(rollback, 'all of it'); end`)
  const { write, writeUnsynced, revision } = createWriter(client, () => {})
  const insert = client.prepare('insert into items values (?)')
  return {
    client,
    other,
    write,
    writeUnsynced,
    revision,
    add: (text: string) => write(() => insert.run(text).changes),
    items: () => other.prepare('select text from items order by rowid').pluck().all(),
    frames: () => other.prepare<[], { log: number }>('pragma wal_checkpoint(passive)').get()!.log
  }
}

t.test('write', async (t) => {
  t.test('gives what the operation returned, once others can read it', async (t) => {
    const { add, items } = prepare(t)

    const promise = add('one')
    t.same(items(), [])

    t.equal(await promise, 1)
    t.same(items(), ['one'])
  })

  t.test('commits once for all operations of one turn, in their order', async (t) => {
    const { add, items, frames } = prepare(t)
    const texts = Array.from({ length: 50 }, (_, i) => `item ${i}`)
    const before = frames()

    t.same(await Promise.all(texts.map(add)), texts.map(() => 1))
    const together = frames()
    for (const text of texts) await add(`another ${text}`)
    const apart = frames()

    t.same(items().slice(0, 50), texts)
    t.ok(together - before < 10, `${together - before} pages written for one commit`)
    t.ok(apart - together >= 50, `${apart - together} pages written for fifty`)
  })

  t.test('undoes an operation that fails, and none of the others', async (t) => {
    const { add, items, write } = prepare(t)

    const results = await Promise.allSettled([add('one'), add('one'), write(() => { add('never'); throw new Error('no') }), add('two')])

    t.match(results, [
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' } },
      { status: 'rejected', reason: { message: 'no' } },
      { status: 'fulfilled', value: 1 }
    ])
    t.same(items(), ['one', 'two'])
  })

  t.test('undoes what an operation wrote before it failed', async (t) => {
    const { client, add, items, write } = prepare(t)

    await Promise.allSettled([add('one'), write(() => {
      client.exec("insert into items values ('half of an operation')")
      throw new Error('no')
    })])

    t.same(items(), ['one'])
  })

  t.test('rejects all of them when SQLite gives up the whole transaction, and continues afterwards', async (t) => {
    const { add, items } = prepare(t)

    const results = await Promise.allSettled([add('one'), add('fatal'), add('two')])
    await add('three')

    t.match(results, Array(3).fill({ status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_TRIGGER', message: 'all of it' } }))
    t.same(items(), ['three'])
  })

  t.test('rejects all of them when the commit fails', async (t) => {
    const { client, add, items, write } = prepare(t)
    client.exec('create table replies (item text references items (text) deferrable initially deferred)')
    client.pragma('foreign_keys = ON')

    const results = await Promise.allSettled([add('one'), write(() => client.exec("insert into replies values ('nothing')"))])

    t.match(results, Array(2).fill({ status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' } }))
    t.same(items(), [])
  })

  t.test('waits while another process writes, without blocking the event loop', async (t) => {
    const { add, items, other } = prepare(t)
    other.exec('begin immediate')
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    t.teardown(() => clearInterval(timer))

    const promises = [add('one')]
    await setTimeout(50)
    promises.push(add('two'))
    await setTimeout(50)
    const waited = turns
    other.exec('commit')
    await Promise.all(promises)

    t.ok(waited > 20, `${waited} turns of the event loop`)
    t.same(items(), ['one', 'two'])
  })

  t.test('waits a second at most, even if more operations come meanwhile', async (t) => {
    const { add, items, other } = prepare(t)
    other.exec('begin immediate')
    const start = performance.now()

    const results = await Promise.allSettled([add('one'), setTimeout(900).then(() => add('two'))])
    const time = performance.now() - start
    other.exec('commit')
    await add('three')

    t.match(results, Array(2).fill({ status: 'rejected', reason: { code: 'SQLITE_BUSY' } }))
    t.ok(time > 950 && time < 1850, `${time} ms`)
    t.same(items(), ['three'])
  })
})

t.test('writeUnsynced', async (t) => {
  t.test('does not wait for the disk, unless another operation of the turn does', async (t) => {
    const { client, write, writeUnsynced } = prepare(t)
    const level = () => client.pragma('synchronous', { simple: true })
    const [NORMAL, FULL] = [1, 2]

    t.same(await Promise.all([writeUnsynced(level), writeUnsynced(level)]), [NORMAL, NORMAL])
    t.equal(await write(level), FULL)
    t.same(await Promise.all([writeUnsynced(level), write(level)]), [FULL, FULL])
  })

  t.test('leaves the next write synced, even if it fails', async (t) => {
    const { client, write, writeUnsynced } = prepare(t)

    await t.rejects(writeUnsynced(() => client.exec("insert into items values ('fatal')")), { code: 'SQLITE_CONSTRAINT_TRIGGER' })

    t.equal(await write(() => client.pragma('synchronous', { simple: true })), 2)
  })
})

t.test('revision', async (t) => {
  t.test('changes with a commit, in the same turn', async (t) => {
    const { add, revision } = prepare(t)
    const before = revision()

    await add('one')

    t.not(revision(), before)
  })

  t.test('stays as it is until something is written', async (t) => {
    const { revision } = prepare(t)
    const before = revision()

    await stat('.')

    t.equal(revision(), before)
  })

  t.test('changes in the next turn after another process wrote', async (t) => {
    const { other, revision } = prepare(t)
    const before = revision()

    other.exec("insert into items values ('one')")
    t.equal(revision(), before)
    await stat('.')

    t.not(revision(), before)
  })

  t.test('changes in the next turn too, when it was asked for in a setImmediate', async (t) => {
    const { other, revision } = prepare(t)
    const before = await new Promise((resolve) => { setImmediate(() => resolve(revision())) })

    other.exec("insert into items values ('one')")
    await stat('.')

    t.not(revision(), before)
  })
})

t.test('A database file', async (t) => {
  const MOVED = { code: 'database_unavailable', cause: { code: 'SQLITE_READONLY_DBMOVED' } }

  async function open (t: Test) {
    const url = databaseUrl(t)
    const database = await openDatabase(url)
    t.teardown(() => database.close())
    await database.probe(1)
    return { database, file: url.slice('file:'.length) }
  }

  t.test('that was moved refuses writes until it is back', async (t) => {
    const { database, file } = await open(t)
    await rename(file, `${file}.away`)

    await t.rejects(database.probe(2), { ...MOVED, message: /was moved or deleted/ })
    await rename(`${file}.away`, file)

    await t.resolves(database.probe(3))
  })

  t.test('that was deleted refuses writes', async (t) => {
    const { database, file } = await open(t)

    await rm(file)

    await t.rejects(database.probe(2), MOVED)
  })

  t.test('that was replaced refuses writes', async (t) => {
    const { database, file } = await open(t)

    await rename(file, `${file}.away`)
    await writeFile(file, '')

    await t.rejects(database.probe(2), MOVED)
  })
})
