import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import type { Test } from 'tap'
import type { Attempt } from '../../db/sign-in-limits.ts'

const HOUR = 3_600_000
const PAIR = { key: 'pair', max: 2, windowMilliseconds: HOUR }
const ACCOUNT = { key: 'account', max: 2, windowMilliseconds: HOUR }

async function open (t: Test) {
  const database = await openDatabase('file::memory:')
  t.teardown(() => database.close())
  return database
}

function countsOf (attempt: Attempt) {
  return 'counts' in attempt ? attempt.counts : []
}

t.test('Sign-in attempts', async (t) => {
  t.test('leave a bucket that a later one closed as it is when they are forgiven', async (t) => {
    const { signInLimits } = await open(t)
    const [first, second] = [await signInLimits.admit({ pair: PAIR, others: [], knownPair: 'known' }, 0), await signInLimits.admit({ pair: PAIR, others: [], knownPair: 'known' }, 0)]

    await signInLimits.forgive(countsOf(first))
    t.match(await signInLimits.admit({ pair: PAIR, others: [], knownPair: 'known' }, 999), { closed: { key: 'pair', opensAt: 1000 } })
    await signInLimits.forgive(countsOf(second))
    t.match(await signInLimits.admit({ pair: PAIR, others: [], knownPair: 'known' }, 999), { counts: [{ key: 'pair' }] })
  })

  t.test('are refused by the bucket that stays closed the longest', async (t) => {
    const { signInLimits } = await open(t)
    for (const time of [0, 0, 1000]) await signInLimits.admit({ pair: ACCOUNT, others: [], knownPair: 'known' }, time)
    for (const time of [1000, 1000]) await signInLimits.admit({ pair: PAIR, others: [], knownPair: 'known' }, time)

    t.match(await signInLimits.admit({ pair: PAIR, others: [ACCOUNT], knownPair: 'known' }, 1500), { closed: { key: 'account', opensAt: 3000 } })
    t.match(await signInLimits.admit({ pair: ACCOUNT, others: [PAIR], knownPair: 'known' }, 1500), { closed: { key: 'account', opensAt: 3000 } })
  })

  t.test('are pruned when they count no more, and so is a known pair', async (t) => {
    const { signInLimits } = await open(t)
    await signInLimits.admit({ pair: PAIR, others: [], knownPair: 'known' }, 0)
    await signInLimits.admit({ pair: ACCOUNT, others: [], knownPair: 'known' }, 1)
    await signInLimits.forgive([], { key: 'known', until: 2 * HOUR })
    await signInLimits.forgive([], { key: 'another pair', until: HOUR })

    t.equal(await signInLimits.prune(HOUR - 1), 0)
    t.equal(await signInLimits.prune(HOUR), 2)
    t.match(await signInLimits.admit({ pair: PAIR, others: [ACCOUNT], knownPair: 'known' }, HOUR), { counts: [{ key: 'pair' }] })
    t.equal(await signInLimits.prune(2 * HOUR + 1), 3)
  })
})

t.test('Request counts', async (t) => {
  t.test('stop at one over the limit, so that a flood writes nothing', async (t) => {
    const { requestCounts } = await open(t)
    const add = (now: number) => requestCounts.add('address', { max: 2, windowMilliseconds: HOUR }, now)

    for (const count of [1, 2, 3, 3, 3]) t.match(await add(0), { count, until: HOUR })
    t.match(await add(HOUR), { count: 1, until: 2 * HOUR })
  })

  t.test('are pruned with their window', async (t) => {
    const { requestCounts } = await open(t)
    await requestCounts.add('address', { max: 2, windowMilliseconds: HOUR }, 0)

    t.equal(await requestCounts.prune(HOUR - 1), 0)
    t.equal(await requestCounts.prune(HOUR), 1)
  })
})
