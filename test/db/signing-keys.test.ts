import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import type { Test } from 'tap'
import type { StoredKey } from '../../db/schema/index.ts'

const LIFETIME = 15

/** The rule of plugins/tokens/signing-keys.ts. */
function signingAt (time: number, keys: StoredKey[]): StoredKey {
  return keys.findLast(({ signsFrom }) => signsFrom <= time) ?? keys[0]! // there is one in every test
}

const key = (kid: string, signsFrom: number) => ({ kid, signsFrom, algorithm: 'ES256', createdAt: 0, publicKey: 'public', privateKey: Buffer.from('sealed') })

/** A database with a key `a` that signs from 0 on, `b` from 100 and `c` from 200; `times` gives when each of them signs and retires. */
async function prepare (t: Test) {
  const { signingKeys, revocations, close } = await openDatabase('file::memory:')
  t.teardown(close)
  const add = (kid: string, signsFrom: number, lastKid = signingKeys.list().at(-1)?.kid) => signingKeys.add(key(kid, signsFrom), lastKid, signsFrom + LIFETIME)
  for (const [kid, signsFrom] of [['a', 0], ['b', 100], ['c', 200]] as const) await add(kid, signsFrom)
  return { signingKeys, revocations, add, times: () => signingKeys.list().map(({ kid, signsFrom, retiresAt }) => [kid, signsFrom, retiresAt]) }
}

t.test('signingKeys.add', async (t) => {
  t.test('retires each key when the last token that it signed has expired', async (t) => {
    const { times } = await prepare(t)

    t.same(times(), [['a', 0, 115], ['b', 100, 215], ['c', 200, null]])
  })

  t.test('takes the place of the keys that were to sign later, which may have signed while the clock was ahead', async (t) => {
    const { times, add } = await prepare(t)

    t.equal(await add('d', 50), true)

    t.same(times(), [['a', 0, 65], ['b', 50, 65], ['c', 50, 65], ['d', 50, null]])
  })

  t.test('goes after a key that signs from the same moment on', async (t) => {
    const { times, add } = await prepare(t)

    await add('Z', 200)

    t.same(times(), [['a', 0, 115], ['b', 100, 215], ['c', 200, 215], ['Z', 200, null]])
  })

  t.test('adds none when another process was first', async (t) => {
    const { times, add } = await prepare(t)

    const results = await Promise.all([add('d', 300, 'c'), add('e', 300, 'c'), add('f', 300, 'nothing')])

    t.same(results, [true, false, false])
    t.same(times().map(([kid]) => kid), ['a', 'b', 'c', 'd'])
  })
})

t.test('signingKeys.postponeRetirement', async (t) => {
  t.test('lets the keys that still sign retire later, when their tokens live longer', async (t) => {
    const { signingKeys, times } = await prepare(t)

    await signingKeys.postponeRetirement(40, 150)

    t.same(times(), [['a', 0, 115], ['b', 100, 240], ['c', 200, null]])
  })

  t.test('lets none retire earlier', async (t) => {
    const { signingKeys, times } = await prepare(t)

    await signingKeys.postponeRetirement(5, 50)

    t.same(times(), [['a', 0, 115], ['b', 100, 215], ['c', 200, null]])
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

      t.equal(await signingKeys.revoke(kid, { successor: key('new', now), until: 999, now, signingAt }), true)

      t.same(times(), after)
      t.match(revocations.since(0), [{ kind: 'kid', revokedId: kid, until: 999 }])
    })
  }

  t.test('does nothing for an unknown key', async (t) => {
    const { signingKeys, revocations, times } = await prepare(t)
    const before = times()

    t.equal(await signingKeys.revoke('x', { successor: key('new', 50), until: 999, now: 50, signingAt }), false)

    t.same(times(), before)
    t.same(revocations.since(0), [])
  })
})

t.test('signingKeys.prune', async (t) => {
  t.test('deletes the keys that have retired by then', async (t) => {
    const { signingKeys, times } = await prepare(t)

    t.equal(await signingKeys.prune(114), 0)
    t.equal(await signingKeys.prune(115), 1)
    t.equal(await signingKeys.prune(10_000), 1)

    t.same(times(), [['c', 200, null]])
  })
})
