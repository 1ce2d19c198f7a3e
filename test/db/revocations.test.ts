import t from 'tap'
import { openDatabase } from '../../db/index.ts'

t.test('revocations', async (t) => {
  t.test('come in their order, from where the reader left off', async (t) => {
    const { revocations, close } = await openDatabase('file::memory:')
    t.teardown(close)

    for (const id of ['b', 'a', 'c']) await revocations.add(id, 1000)

    t.same(revocations.since(0).map(({ sequence, revokedId }) => [sequence, revokedId]), [[1, 'b'], [2, 'a'], [3, 'c']])
    t.same(revocations.since(2).map(({ revokedId }) => revokedId), ['c'])
    t.same(revocations.since(3), [])
  })

  t.test('never reuse a sequence number, even after all earlier ones are pruned', async (t) => {
    const { revocations, close } = await openDatabase('file::memory:')
    t.teardown(close)
    await revocations.add('old', 1000)

    t.equal(await revocations.prune(999), 0)
    t.equal(await revocations.prune(1000), 1)
    await revocations.add('new', 2000)

    t.match(revocations.since(1), [{ revokedId: 'new' }])
  })
})
