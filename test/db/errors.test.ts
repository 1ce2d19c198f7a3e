import { readFile, stat, truncate, writeFile } from 'node:fs/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { fileOf } from '../../db/sqlite/index.ts'
import { toEngineError } from '../../db/sqlite/errors.ts'
import { databaseUrl } from '../helper.ts'
import { newEntry, newSession, newUser } from './contract/rows.ts'
import type { Test } from 'tap'

/** A database with an account and its session, and another connection to its file. */
async function prepare (t: Test) {
  const url = databaseUrl(t)
  const database = await openDatabase(url)
  const other = new Client(fileOf(url))
  t.teardown(async () => { other.close(); await database.close() })
  const user = await database.users.add(newUser('a'))
  await database.sessions.add(newSession('s', 'a'), user)
  return { ...database, other, file: fileOf(url)!, user }
}

t.test('An error of SQLite', async (t) => {
  t.test('says of a value that is taken which constraint it is', async (t) => {
    const { sessions, user, users } = await prepare(t)

    const cause = { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' }
    await t.rejects(users.add(newUser('a', { username: 'b' })), { code: 'taken', constraint: 'users_id', cause })
    await t.rejects(sessions.add(newSession('s', 'a'), user), { code: 'taken', constraint: 'sessions_id', cause })
    await t.rejects(users.add(newUser('b', { username: 'a' })), {
      code: 'username_taken',
      cause: { code: 'taken', constraint: 'users_username_key', cause: { code: 'SQLITE_CONSTRAINT_UNIQUE' } }
    })
  })

  t.test('stays as it is when nobody foresaw it', async (t) => {
    const { audit, users } = await prepare(t)

    await t.rejects(users.add(newUser('b', {})), { code: 'SQLITE_CONSTRAINT_CHECK', message: /users_have_a_name/ })
    await t.rejects(audit.add(newEntry(0.5)), { code: 'SQLITE_CONSTRAINT_DATATYPE' })
    const [error, nothing] = [new Error('no'), Symbol('nothing')]
    t.equal(toEngineError(error), error)
    t.equal(toEngineError(nothing), nothing)
  })

  t.test('says that the database is unavailable while another process holds the lock for too long, and no longer', async (t) => {
    const { other, probe, users, requestCounts } = await prepare(t)
    other.exec('begin immediate')
    const unavailable = { code: 'database_unavailable', cause: { code: 'SQLITE_BUSY' } }

    const results = await Promise.allSettled([
      probe(1),
      users.add(newUser('b')),
      requestCounts.add('key', { max: 1, windowMilliseconds: 1 }, 0)
    ])
    other.exec('commit')

    t.match(results, Array(3).fill({ status: 'rejected', reason: unavailable }))
    t.match(await users.findById('a'), { id: 'a' })
    await t.resolves(probe(2))
    t.equal(await users.findById('b'), undefined)
  })

  t.test('says so, too, when the file cannot be read any more', async (t) => {
    const { file, other, users } = await prepare(t)
    other.pragma('wal_checkpoint(truncate)')
    const { size } = await stat(file)
    const content = await readFile(file)
    other.exec("update users set name = 'Ada'") // the next reader looks at the file again
    other.pragma('wal_checkpoint(truncate)')

    await truncate(file, 0)
    await writeFile(file, Buffer.alloc(size, 7), { flag: 'r+' })
    const error = await users.findById('a').then(() => undefined, (error) => error)
    await writeFile(file, content, { flag: 'r+' })

    t.match(error, { code: 'database_unavailable' })
    t.match(error?.cause?.code, /^SQLITE_(CORRUPT|NOTADB|IOERR)/)
  })

  for (const code of ['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_READONLY', 'SQLITE_CANTOPEN', 'SQLITE_BUSY_SNAPSHOT']) {
    t.test(`says so of ${code}`, async (t) => {
      const error = new Client.SqliteError('the message', code)

      t.match(toEngineError(error), { code: 'database_unavailable', message: 'the message', cause: error })
    })
  }

  t.test('says nothing of it for what was refused', async (t) => {
    for (const code of ['SQLITE_CONSTRAINT_CHECK', 'SQLITE_CONSTRAINT_TRIGGER', 'SQLITE_ERROR', 'SQLITE_MISMATCH', 'SQLITE_RANGE']) {
      const error = new Client.SqliteError('the message', code)
      t.equal(toEngineError(error), error, code)
    }
  })
})
