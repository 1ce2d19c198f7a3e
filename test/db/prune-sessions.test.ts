import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { fileOf } from '../../db/sqlite/index.ts'
import { databaseUrl } from '../helper.ts'
import { newSession, newUser } from './contract/rows.ts'

t.test('sessions.prune, on SQLite', async (t) => {
  t.test('skips gaps in the row ids', async (t) => {
    const url = databaseUrl(t)
    const { sessions, users, close } = await openDatabase(url)
    const file = new Client(fileOf(url))
    t.teardown(async () => { file.close(); await close() })
    const user = await users.add(newUser('a'))
    await sessions.add(newSession('s', 'a', { expiresAt: 100_000 }), user)
    file.exec('update sessions set rowid = 1000000000000')
    await sessions.add(newSession('later', 'a', { expiresAt: 50_000 }), user)

    t.equal(await sessions.prune(50_000), 1)
    t.same((await sessions.list('a', 0)).map(({ id }) => id), ['s'])
  })
})
