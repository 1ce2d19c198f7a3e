import t from 'tap'
import { openTestDatabase, openTwice } from './database.ts'
import { inBatches, newKey, newSession, newUser } from './rows.ts'
import type { Database } from '../../../db/index.ts'
import type { Revocation, StoredKey } from '../../../db/schema/index.ts'

/** All that is told to somebody who follows the news of a database. */
function follow ({ news }: Database) {
  const revoked: Revocation[] = []
  const keys: StoredKey[][] = []
  news.follow({ revoked: (page) => { revoked.push(...page) }, keysChanged: (all) => { keys.push(all) } })
  return { revoked, keys, ids: () => revoked.map(({ revokedId }) => revokedId) }
}

t.test('News', async (t) => {
  t.test('tell once, and in their order, of the revocations of every process', async (t) => {
    const [own, other] = await openTwice(t)
    const told = follow(own)
    await own.news.begin(0)

    for (const id of ['c', 'a']) await other.revocations.add(id, 1000)
    await own.revocations.add('b', 1000)
    await own.news.freshen()
    t.same(told.ids(), ['c', 'a', 'b'])
    await own.news.freshen()
    await other.revocations.add('d', 1000)
    await own.news.freshen()

    t.same(told.ids(), ['c', 'a', 'b', 'd'])
    t.same(told.revoked, await own.revocations.since(0))
  })

  t.test('tell of the end of a session, of an account and of a key', async (t) => {
    const [own, other] = await openTwice(t)
    const told = follow(own)
    await own.news.begin(0)
    const user = await other.users.add(newUser('a'))
    for (const id of ['s1', 's2']) await other.sessions.add(newSession(id, 'a'), user)
    await other.signingKeys.add(newKey('k', 0), undefined, 0)

    await other.sessions.end('s1')
    await other.users.setPassword('a', 'new', 1)
    await other.signingKeys.revoke('k', { successor: newKey('l', 0), until: 1000, now: 0, signingAt: (_, keys) => keys[0]! })
    await own.news.freshen()

    t.same(told.revoked.map(({ kind, revokedId }) => [kind, revokedId]), [['sid', 's1'], ['sid', 's2'], ['kid', 'k']])
  })

  t.test('are told to each who follows, also when that began later', async (t) => {
    const { news, revocations, ...rest } = await openTestDatabase(t)
    const first = follow({ news, revocations, ...rest })
    await news.begin(0)
    await revocations.add('a', 1000)
    await news.freshen()
    const second = follow({ news, revocations, ...rest })

    await revocations.add('b', 1000)
    await news.freshen()

    t.same(first.ids(), ['a', 'b'])
    t.same(second.ids(), ['b'])
  })

  t.test('tell nothing before they begin, and then of what came after the given one', async (t) => {
    const [own, other] = await openTwice(t)
    const told = follow(own)
    for (const id of ['a', 'b', 'c']) await other.revocations.add(id, 1000)
    await own.signingKeys.add(newKey('k', 0), undefined, 0)
    own.news.revision()
    t.same([told.ids(), told.keys], [[], []])

    await own.news.begin(2)
    await own.news.freshen()

    t.same(told.ids(), ['c'])
  })

  t.test('tell of more than one page', async (t) => {
    const [own, other] = await openTwice(t)
    const told = follow(own)
    await own.news.begin(0)
    const ids = Array.from({ length: 2 * own.revocations.pageSize + 1 }, (_, i) => `token ${i}`)

    await inBatches(ids.length, (i) => other.revocations.add(ids[i]!, 1000))
    await own.news.freshen()

    t.same(told.ids().sort(), ids.sort())
    const sequences = told.revoked.map(({ sequence }) => sequence)
    t.same(sequences, sequences.toSorted((a, b) => a - b))
  })

  t.test('tell nothing of an operation that was undone', async (t) => {
    const [own, other] = await openTwice(t)
    const told = follow(own)
    await own.news.begin(0)
    const user = await other.users.add(newUser('a'))
    for (const id of ['s', 't']) await other.sessions.add(newSession(id, 'a'), user)
    await other.users.add(newUser('b'))

    await t.rejects(other.users.changePassword(newSession('t', 'b'), 'new'), { code: 'taken' })
    await own.news.freshen()
    t.same(told.ids(), [])
    await other.sessions.end('s')
    await own.news.freshen()

    t.same(told.ids(), ['s'])
  })

  t.test('know after an answered revocation, in the process that answered', async (t) => {
    const database = await openTestDatabase(t)
    const told = follow(database)
    await database.news.begin(0)

    await database.revocations.add('a', 1000)
    database.news.revision()

    t.same(told.ids(), ['a'])
  })

  t.test('have another revision whenever revocations were told, by whichever process, and only then', async (t) => {
    const [own, other] = await openTwice(t)
    await other.revocations.add('a', 1000)
    await own.news.begin(1)
    const revisions: unknown[] = []
    async function look () {
      await own.news.freshen()
      revisions.push(own.news.revision())
    }

    await look()
    await other.users.add(newUser('a'))
    await look()
    t.type(revisions[0], 'number')
    t.equal(revisions[1], revisions[0], 'other writes do not count')
    await other.revocations.add('b', 1000)
    await look()
    await own.revocations.add('c', 1000)
    await look()

    t.equal(new Set(revisions).size, 3)
  })

  t.test('have no revision before they begin', async (t) => {
    const { news } = await openTestDatabase(t)
    t.equal(news.revision(), undefined)

    await news.begin(0)

    t.type(news.revision(), 'number')
  })

  t.test('give all keys when they may have changed', async (t) => {
    const [own, other] = await openTwice(t)
    const { keys } = follow(own)
    await own.news.begin(0)
    const kids = () => keys.at(-1)?.map(({ kid }) => kid)

    await other.signingKeys.add(newKey('a', 0), undefined, 0)
    await own.news.freshen()
    t.same(kids(), ['a'])
    await own.signingKeys.add(newKey('b', 100), 'a', 115)
    await own.news.freshen()
    t.same(kids(), ['a', 'b'])
    t.same(keys.at(-1), await own.signingKeys.list())
    await other.signingKeys.postponeRetirement(500, 50)
    await own.news.freshen()
    t.same(keys.at(-1), await own.signingKeys.list())
    t.equal(keys.at(-1)![0]?.retiresAt, 600)
    await other.signingKeys.prune(600)
    await own.news.freshen()

    t.same(kids(), ['b'])
  })

  t.test('are complete for one who reads first, and begins after the last', async (t) => {
    const [own, other] = await openTwice(t)
    await other.revocations.add('before', 1000)
    const told = follow(own)

    const known = await own.revocations.since(0)
    await other.revocations.add('between', 1000)
    await own.news.begin(known.at(-1)!.sequence)
    await own.news.freshen()

    t.same(told.ids(), ['between'])
  })
})
