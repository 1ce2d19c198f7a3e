import t from 'tap'
import { openTestDatabase } from './database.ts'
import { newKey, signingAt } from './rows.ts'
import type { Test } from 'tap'

const LIFETIME = 15

/** A database with a key `a` that signs from 0 on, `b` from 100 and `c` from 200; `times` gives when each of them signs and retires. */
async function prepare (t: Test) {
  const { signingKeys, revocations } = await openTestDatabase(t)
  async function add (kid: string, signsFrom: number, lastKid?: string) {
    const last = lastKid ?? (await signingKeys.list()).at(-1)?.kid
    return signingKeys.add(newKey(kid, signsFrom), last, signsFrom + LIFETIME)
  }
  const times = async () => (await signingKeys.list()).map(({ kid, signsFrom, retiresAt }) => [kid, signsFrom, retiresAt])
  for (const [kid, signsFrom] of [['a', 0], ['b', 100], ['c', 200]] as const) await add(kid, signsFrom)
  return { signingKeys, revocations, add, times }
}

t.test('signingKeys.add', async (t) => {
  t.test('retires each key when the last token that it signed has expired', async (t) => {
    const { times } = await prepare(t)

    t.same(await times(), [['a', 0, 115], ['b', 100, 215], ['c', 200, null]])
  })

  t.test('keeps a key as it is given', async (t) => {
    const { signingKeys } = await openTestDatabase(t)
    const key = { ...newKey('a', 7), createdAt: 5, privateKey: Buffer.from([0, 255, 39, 92, 128]) }

    await signingKeys.add(key, undefined, 0)

    const [stored] = await signingKeys.list()
    t.same(stored, { ...key, retiresAt: null })
    t.ok(Buffer.isBuffer(stored?.privateKey))
  })

  t.test('takes the place of the keys that were to sign later, which may have signed while the clock was ahead', async (t) => {
    const { times, add } = await prepare(t)

    t.equal(await add('d', 50), true)

    t.same(await times(), [['a', 0, 65], ['b', 50, 65], ['c', 50, 65], ['d', 50, null]])
  })

  t.test('goes after a key that signs from the same moment on', async (t) => {
    const { times, add } = await prepare(t)

    await add('Z', 200)
    await add('Y', 200)

    t.same(await times(), [['a', 0, 115], ['b', 100, 215], ['c', 200, 215], ['Z', 200, 215], ['Y', 200, null]])
  })

  t.test('adds none when another process was first', async (t) => {
    const { times, add } = await prepare(t)

    const results = await Promise.all([add('d', 300, 'c'), add('e', 300, 'c'), add('f', 300, 'nothing')])

    t.same(results.slice(0, 2).sort(), [false, true])
    t.equal(results[2], false)
    t.same((await times()).map(([kid]) => kid), ['a', 'b', 'c', results[0] ? 'd' : 'e'])
  })
})

t.test('signingKeys.postponeRetirement', async (t) => {
  t.test('lets the keys that still sign retire later, when their tokens live longer', async (t) => {
    const { signingKeys, times } = await prepare(t)

    await signingKeys.postponeRetirement(40, 150)

    t.same(await times(), [['a', 0, 115], ['b', 100, 240], ['c', 200, null]])
  })

  t.test('lets none retire earlier', async (t) => {
    const { signingKeys, times } = await prepare(t)

    await signingKeys.postponeRetirement(5, 50)

    t.same(await times(), [['a', 0, 115], ['b', 100, 215], ['c', 200, null]])
  })
})

t.test('signingKeys.revoke', async (t) => {
  const cases: Array<[what: string, kid: string, now: number, after: Array<[string, number, number | null]>]> = [
    ['the key that signs: the next one does at once', 'a', 50, [['b', 50, 215], ['c', 200, null]]],
    ['the key that signs, and is the last: a new one does', 'c', 250, [['a', 0, 115], ['b', 100, 215], ['new', 250, null]]],
    ['the next one: the one before it goes on in its place', 'b', 50, [['a', 0, 215], ['c', 200, null]]],
    ['the last one: the one before it goes on', 'c', 150, [['a', 0, 115], ['b', 100, null]]],
    ['one that is retiring: all others go on as before', 'a', 110, [['b', 100, 215], ['c', 200, null]]]
  ]
  for (const [what, kid, now, after] of cases) {
    t.test(`revokes ${what}`, async (t) => {
      const { signingKeys, revocations, times } = await prepare(t)

      t.equal(await signingKeys.revoke(kid, { successor: newKey('new', now), until: 999, now, signingAt }), true)

      t.same(await times(), after)
      t.match(await revocations.since(0), [{ kind: 'kid', revokedId: kid, until: 999 }])
    })
  }

  t.test('does nothing for an unknown key', async (t) => {
    const { signingKeys, revocations, times } = await prepare(t)
    const before = await times()

    t.equal(await signingKeys.revoke('x', { successor: newKey('new', 50), until: 999, now: 50, signingAt }), false)

    t.same(await times(), before)
    t.same(await revocations.since(0), [])
  })
})

t.test('signingKeys.prune', async (t) => {
  t.test('deletes the keys that have retired by then', async (t) => {
    const { signingKeys, times } = await prepare(t)

    t.equal(await signingKeys.prune(114), 0)
    t.equal(await signingKeys.prune(115), 1)
    t.equal(await signingKeys.prune(10_000), 1)

    t.same(await times(), [['c', 200, null]])
  })
})
