import { rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { createWriter } from '../../db/writer.ts'
import { databaseUrl } from '../helper.ts'
import type { Test } from 'tap'

/** A writer to a file of one table, and somebody else at the same file. */
function prepare (t: Test) {
  const file = join(t.testdir(), 'notes.db')
  const [client, other] = [new Client(file, { timeout: 0 }), new Client(file, { timeout: 0 })]
  t.teardown(() => { client.close(); other.close() })
  client.pragma('journal_mode = WAL')
  client.exec("create table notes (text text primary key); create trigger fatal before insert on notes when new.text = 'fatal' begin select raise(rollback, 'all of it'); end")
  const { write, writeUnsynced, revision } = createWriter(client, () => {})
  const insert = client.prepare('insert into notes values (?)')
  return {
    client,
    other,
    write,
    writeUnsynced,
    revision,
    note: (text: string) => write(() => insert.run(text).changes),
    notes: () => other.prepare('select text from notes order by rowid').pluck().all(),
    frames: () => other.prepare<[], { log: number }>('pragma wal_checkpoint(passive)').get()!.log
  }
}

t.test('write', async (t) => {
  t.test('answers what the deed returned, once it can be read by others', async (t) => {
    const { note, notes } = prepare(t)

    const promise = note('one')
    t.same(notes(), [])

    t.equal(await promise, 1)
    t.same(notes(), ['one'])
  })

  t.test('commits once for all the deeds of one turn, in their order', async (t) => {
    const { note, notes, frames } = prepare(t)
    const texts = Array.from({ length: 50 }, (_, i) => `note ${i}`)
    const before = frames()

    t.same(await Promise.all(texts.map(note)), texts.map(() => 1))
    const together = frames()
    for (const text of texts) await note(`another ${text}`)
    const apart = frames()

    t.same(notes().slice(0, 50), texts)
    t.ok(together - before < 10, `${together - before} pages written for one commit`)
    t.ok(apart - together >= 50, `${apart - together} pages written for fifty`)
  })

  t.test('lets a deed that fails take nothing of the others with it, and leave nothing of itself', async (t) => {
    const { note, notes, write } = prepare(t)

    const results = await Promise.allSettled([note('one'), note('one'), write(() => { note('never'); throw new Error('no') }), note('two')])

    t.match(results, [
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' } },
      { status: 'rejected', reason: { message: 'no' } },
      { status: 'fulfilled', value: 1 }
    ])
    t.same(notes(), ['one', 'two'])
  })

  t.test('undoes what a deed wrote before it failed', async (t) => {
    const { client, note, notes, write } = prepare(t)

    await Promise.allSettled([note('one'), write(() => {
      client.exec("insert into notes values ('half of a deed')")
      throw new Error('no')
    })])

    t.same(notes(), ['one'])
  })

  t.test('rejects all of them when SQLite gives up the whole transaction, and goes on afterwards', async (t) => {
    const { note, notes } = prepare(t)

    const results = await Promise.allSettled([note('one'), note('fatal'), note('two')])
    await note('three')

    t.match(results, Array(3).fill({ status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_TRIGGER', message: 'all of it' } }))
    t.same(notes(), ['three'])
  })

  t.test('rejects all of them when the commit fails', async (t) => {
    const { client, note, notes, write } = prepare(t)
    client.exec('create table replies (note text references notes (text) deferrable initially deferred)')
    client.pragma('foreign_keys = ON')

    const results = await Promise.allSettled([note('one'), write(() => client.exec("insert into replies values ('nothing')"))])

    t.match(results, Array(2).fill({ status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' } }))
    t.same(notes(), [])
  })

  t.test('waits while another process writes, and lets everything else go on', async (t) => {
    const { note, notes, other } = prepare(t)
    other.exec('begin immediate')
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    t.teardown(() => clearInterval(timer))

    const promises = [note('one')]
    await setTimeout(50)
    promises.push(note('two'))
    await setTimeout(50)
    const waited = turns
    other.exec('commit')
    await Promise.all(promises)

    t.ok(waited > 20, `${waited} turns of the event loop`)
    t.same(notes(), ['one', 'two'])
  })

  t.test('waits no longer than a second, though more is to be written meanwhile', async (t) => {
    const { note, notes, other } = prepare(t)
    other.exec('begin immediate')
    const start = performance.now()

    const results = await Promise.allSettled([note('one'), setTimeout(900).then(() => note('two'))])
    const time = performance.now() - start
    other.exec('commit')
    await note('three')

    t.match(results, Array(2).fill({ status: 'rejected', reason: { code: 'SQLITE_BUSY' } }))
    t.ok(time > 950 && time < 1850, `${time} ms`)
    t.same(notes(), ['three'])
  })
})

t.test('writeUnsynced', async (t) => {
  t.test('does not wait for the disk, unless somebody else does', async (t) => {
    const { client, write, writeUnsynced } = prepare(t)
    const level = () => client.pragma('synchronous', { simple: true })
    const [NORMAL, FULL] = [1, 2]

    t.same(await Promise.all([writeUnsynced(level), writeUnsynced(level)]), [NORMAL, NORMAL])
    t.equal(await write(level), FULL)
    t.same(await Promise.all([writeUnsynced(level), write(level)]), [FULL, FULL])
  })

  t.test('leaves the next write as it was, though it fails', async (t) => {
    const { client, write, writeUnsynced } = prepare(t)

    await t.rejects(writeUnsynced(() => client.exec("insert into notes values ('fatal')")), { code: 'SQLITE_CONSTRAINT_TRIGGER' })

    t.equal(await write(() => client.pragma('synchronous', { simple: true })), 2)
  })
})

t.test('revision', async (t) => {
  t.test('is another number after a commit, though nothing else has happened', async (t) => {
    const { note, revision } = prepare(t)
    const before = revision()

    await note('one')

    t.not(revision(), before)
  })

  t.test('stays as it is until something is written', async (t) => {
    const { revision } = prepare(t)
    const before = revision()

    await stat('.')

    t.equal(revision(), before)
  })

  t.test('is another number once something has come from outside after another process wrote', async (t) => {
    const { other, revision } = prepare(t)
    const before = revision()

    other.exec("insert into notes values ('one')")
    t.equal(revision(), before)
    await stat('.')

    t.not(revision(), before)
  })
})

t.test('A database file', async (t) => {
  async function open (t: Test) {
    const url = databaseUrl(t)
    const database = await openDatabase(url)
    t.teardown(() => database.close())
    await database.probe.run(1)
    return { database, file: url.slice('file:'.length) }
  }

  t.test('that was moved takes nothing more, until it is back', async (t) => {
    const { database, file } = await open(t)
    await rename(file, `${file}.away`)

    await t.rejects(database.probe.run(2), { code: 'SQLITE_READONLY_DBMOVED', message: /was moved or deleted/ })
    await rename(`${file}.away`, file)

    t.equal(await database.probe.run(3), true)
  })

  t.test('that was deleted takes nothing more', async (t) => {
    const { database, file } = await open(t)

    await rm(file)

    await t.rejects(database.probe.run(2), { code: 'SQLITE_READONLY_DBMOVED' })
  })

  t.test('that was replaced takes nothing more', async (t) => {
    const { database, file } = await open(t)

    await rename(file, `${file}.away`)
    await writeFile(file, '')

    await t.rejects(database.probe.run(2), { code: 'SQLITE_READONLY_DBMOVED' })
  })
})
