import { stat } from 'node:fs/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { fileOf } from '../../db/sqlite/index.ts'
import { databaseUrl } from '../helper.ts'
import type { Test } from 'tap'

/** A database that tells its news, what it has told, and another connection to the file, which revokes at once. */
async function prepare (t: Test) {
  const url = databaseUrl(t)
  const { news, revocations, signingKeys, close } = await openDatabase(url)
  const other = new Client(fileOf(url))
  t.teardown(async () => { other.close(); await close() })
  const told: string[] = []
  news.follow({ revoked: (page) => { told.push(...page.map(({ revokedId }) => revokedId)) } })
  await news.begin(0)
  const insert = other.prepare('insert into revocations (revoked_id, until) values (?, 1000)')
  return { news, revocations, signingKeys, told, revoke: (id: string) => { insert.run(id) } }
}

t.test('News of a SQLite file', async (t) => {
  t.test('are told by whoever asks for the revision, in the next turn, without waiting', async (t) => {
    const { news, told, revoke } = await prepare(t)
    const before = news.revision()

    revoke('a')
    await stat('.')

    t.not(news.revision(), before)
    t.same(told, ['a'])
  })

  t.test('are complete when somebody has waited for them, in the same turn, too', async (t) => {
    const { news, told, revoke } = await prepare(t)

    for (const id of ['a', 'b', 'c']) {
      news.revision()
      revoke(id)
      await news.freshen()
      t.equal(told.at(-1), id)
    }
  })

  t.test('are told again from where they broke off, when a follower could not take them', async (t) => {
    const { news, revocations } = await openDatabase('file::memory:')
    const told: string[] = []
    let fails = true
    news.follow({
      revoked (page) {
        if (fails) throw new Error('no')
        told.push(...page.map(({ revokedId }) => revokedId))
      }
    })
    await news.begin(0)
    await revocations.add('a', 1000)

    t.throws(() => news.revision(), { message: 'no' })
    fails = false
    news.revision()

    t.same(told, ['a'])
  })
})
