import t from 'tap'
import { openTestDatabase, openTwice } from './database.ts'
import { inBatches, newSession, newUser, revokedIds } from './rows.ts'
import type { Database } from '../../../db/index.ts'

t.test('revocations', async (t) => {
  t.test('come in their order, from where the reader left off', async (t) => {
    const { revocations } = await openTestDatabase(t)

    for (const id of ['b', 'a', 'c']) await revocations.add(id, 1000)

    const found = await revocations.since(0)
    t.same(found.map(({ sequence, revokedId }) => [sequence, revokedId]), [[1, 'b'], [2, 'a'], [3, 'c']])
    t.same((await revocations.since(2)).map(({ revokedId }) => revokedId), ['c'])
    t.same(await revocations.since(3), [])
  })

  t.test('come a page at a time', async (t) => {
    const { revocations } = await openTestDatabase(t)
    const ids = Array.from({ length: revocations.pageSize + 5 }, (_, i) => `token ${i}`)
    await inBatches(ids.length, (i) => revocations.add(ids[i]!, 1000))

    const first = await revocations.since(0)
    const second = await revocations.since(first.at(-1)!.sequence)

    t.same([first.length, second.length], [revocations.pageSize, 5])
    t.same([...first, ...second].map(({ revokedId }) => revokedId).sort(), ids.sort())
  })

  t.test('never reuse a sequence number, even after all earlier ones are pruned', async (t) => {
    const { revocations } = await openTestDatabase(t)
    await revocations.add('old', 1000)

    t.equal(await revocations.prune(999), 0)
    t.equal(await revocations.prune(1000), 1)
    await revocations.add('new', 2000)

    t.match(await revocations.since(1), [{ revokedId: 'new' }])
  })

  t.test('keep the first of two of the same id', async (t) => {
    const { revocations } = await openTestDatabase(t)
    await revocations.add('token', 1000)

    await revocations.add('token', 2000)

    t.match(await revocations.since(0), [{ revokedId: 'token', until: 1000, kind: 'jti' }])
    t.equal((await revocations.since(0)).length, 1)
  })

  t.test('are counted until they expire', async (t) => {
    const { revocations } = await openTestDatabase(t)
    await revocations.add('short', 1000)
    await revocations.add('long', 2000)

    t.same(await Promise.all([999, 1000, 2000].map(revocations.count)), [2, 1, 0])
  })
})

t.test('afterRestore', async (t) => {
  t.test('lets later revocations come after all that anybody may have seen, also where was none before', async (t) => {
    for (const before of [[], ['old']]) {
      const { afterRestore, revocations } = await openTestDatabase(t)
      for (const id of before) await revocations.add(id, 1000)

      await afterRestore.skipSequences(5000)
      await revocations.add('new', 2000)
      await afterRestore.skipSequences(10)
      await revocations.add('newer', 2000)

      t.same((await revocations.since(5000)).map(({ revokedId }) => revokedId), ['new', 'newer'])
    }
  })

  t.test('closes the status lists', async (t) => {
    const [restored, service] = await openTwice(t)
    const user = await restored.users.add(newUser('a'))
    const list = async ({ sessions }: Database, id: string) =>
      (await sessions.add(newSession(id, 'a', { createdAt: 10 }), user))!.statusEntries[0]!.list
    const first = await list(restored, 's')

    await restored.afterRestore.skipSequences(10)

    t.not(await list(service, 'later'), first)
  })

  t.test('ends every session', async (t) => {
    const database = await openTestDatabase(t)
    const { afterRestore, sessions, users } = database
    for (const id of ['a', 'b']) await sessions.add(newSession(`${id}s`, id), await users.add(newUser(id)))

    t.equal(await afterRestore.endSessions(), 2)

    t.equal(await sessions.count(), 0)
    t.same((await revokedIds(database)).sort(), ['as', 'bs'])
  })
})
