import t from 'tap'
import { openTestDatabase, openTwice } from './database.ts'
import type { Attempt } from '../../../db/sign-in-limits.ts'

const HOUR = 3_600_000
const PAIR = { key: 'pair', max: 2, windowMilliseconds: HOUR }
const ACCOUNT = { key: 'account', max: 2, windowMilliseconds: HOUR }
const OF_PAIR = { pair: PAIR, others: [], knownPair: 'known' }

function countsOf (attempt: Attempt) {
  return 'counts' in attempt ? attempt.counts : []
}

t.test('Sign-in attempts', async (t) => {
  t.test('leave a bucket that a later one closed as it is when they are forgiven', async (t) => {
    const { signInLimits } = await openTestDatabase(t)
    const [first, second] = [await signInLimits.admit(OF_PAIR, 0), await signInLimits.admit(OF_PAIR, 0)]

    await signInLimits.forgive(countsOf(first))
    t.match(await signInLimits.admit(OF_PAIR, 999), { closed: { key: 'pair', opensAt: 1000 } })
    await signInLimits.forgive(countsOf(second))
    t.match(await signInLimits.admit(OF_PAIR, 999), { counts: [{ key: 'pair' }] })
  })

  t.test('are refused by the bucket that stays closed the longest', async (t) => {
    const { signInLimits } = await openTestDatabase(t)
    for (const time of [0, 0, 1000]) await signInLimits.admit({ ...OF_PAIR, pair: ACCOUNT }, time)
    for (const time of [1000, 1000]) await signInLimits.admit(OF_PAIR, time)

    t.match(await signInLimits.admit({ ...OF_PAIR, others: [ACCOUNT] }, 1500), { closed: { key: 'account', opensAt: 3000 } })
    t.match(await signInLimits.admit({ ...OF_PAIR, pair: ACCOUNT, others: [PAIR] }, 1500), { closed: { key: 'account', opensAt: 3000 } })
  })

  t.test('are pruned when they count no more, and so is a known pair', async (t) => {
    const { signInLimits } = await openTestDatabase(t)
    await signInLimits.admit(OF_PAIR, 0)
    await signInLimits.admit({ ...OF_PAIR, pair: ACCOUNT }, 1)
    await signInLimits.forgive([], { key: 'known', until: 2 * HOUR })
    await signInLimits.forgive([], { key: 'another pair', until: HOUR })

    t.equal(await signInLimits.prune(HOUR - 1), 0)
    t.equal(await signInLimits.prune(HOUR), 2)
    t.match(await signInLimits.admit({ ...OF_PAIR, others: [ACCOUNT] }, HOUR), { counts: [{ key: 'pair' }] })
    t.equal(await signInLimits.prune(2 * HOUR + 1), 3)
  })

  t.test('let in no more at once, by two processes, than one after the other', async (t) => {
    const processes = await openTwice(t)
    const ADDRESS = { ...PAIR, key: 'address' }
    // The order of the keys is another in each: none may wait for the other for ever.
    const attempts = [{ ...OF_PAIR, others: [ACCOUNT, ADDRESS] }, { ...OF_PAIR, others: [ADDRESS, ACCOUNT] }]

    const results = await Promise.all(Array.from({ length: 40 }, (_, i) => processes[i % 2]!.signInLimits.admit(attempts[i % 2]!, 0)))

    t.equal(results.filter((attempt) => 'counts' in attempt).length, PAIR.max)
  })
})

t.test('Request counts', async (t) => {
  t.test('stop at one over the limit, so that a flood writes nothing', async (t) => {
    const { requestCounts } = await openTestDatabase(t)
    const add = (now: number) => requestCounts.add('address', { max: 2, windowMilliseconds: HOUR }, now)

    for (const count of [1, 2, 3, 3, 3]) t.match(await add(0), { count, until: HOUR })
    t.match(await add(HOUR), { count: 1, until: 2 * HOUR })
  })

  t.test('begin anew when the clock was set back', async (t) => {
    const { requestCounts } = await openTestDatabase(t)
    const add = (now: number) => requestCounts.add('address', { max: 2, windowMilliseconds: HOUR }, now)
    for (const count of [1, 2, 3]) t.match(await add(HOUR), { count })

    t.match(await add(0), { count: 1, until: HOUR })
  })

  t.test('count each request of two processes once', async (t) => {
    const processes = await openTwice(t)
    const window = { max: 100, windowMilliseconds: HOUR }

    const counts = await Promise.all(Array.from({ length: 40 }, (_, i) => processes[i % 2]!.requestCounts.add('address', window, 0)))

    t.same(counts.map(({ count }) => count).sort((a, b) => a - b), Array.from({ length: 40 }, (_, i) => i + 1))
  })

  t.test('are pruned with their window', async (t) => {
    const { requestCounts } = await openTestDatabase(t)
    await requestCounts.add('address', { max: 2, windowMilliseconds: HOUR }, 0)

    t.equal(await requestCounts.prune(HOUR - 1), 0)
    t.equal(await requestCounts.prune(HOUR), 1)
  })
})
