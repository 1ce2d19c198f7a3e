import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import type { Test } from 'tap'
import type { Admission } from '../../db/guesses.ts'

const HOUR = 3_600_000
const PAIR = { key: 'pair', max: 2, windowMilliseconds: HOUR }
const ACCOUNT = { key: 'account', max: 2, windowMilliseconds: HOUR }

async function open (t: Test) {
  const database = await openDatabase('file::memory:')
  t.teardown(() => database.close())
  return database
}

function countsOf (admission: Admission) {
  return 'counts' in admission ? admission.counts : []
}

t.test('guesses', async (t) => {
  t.test('leave what a later one closed as it is when they are taken back', async (t) => {
    const { guesses } = await open(t)
    const [first, second] = [await guesses.admit(PAIR, [], 0), await guesses.admit(PAIR, [], 0)]

    await guesses.takeBack(countsOf(first))
    t.match(await guesses.admit(PAIR, [], 999), { closed: { key: 'pair', opensAt: 1000 } })
    await guesses.takeBack(countsOf(second))
    t.match(await guesses.admit(PAIR, [], 999), { counts: [{ key: 'pair' }] })
  })

  t.test('are refused by what stays closed the longest', async (t) => {
    const { guesses } = await open(t)
    for (const time of [0, 0, 1000]) await guesses.admit(ACCOUNT, [], time)
    for (const time of [1000, 1000]) await guesses.admit(PAIR, [], time)

    t.match(await guesses.admit(PAIR, [ACCOUNT], 1500), { closed: { key: 'account', opensAt: 3000 } })
    t.match(await guesses.admit(ACCOUNT, [PAIR], 1500), { closed: { key: 'account', opensAt: 3000 } })
  })

  t.test('are forgotten when they count no more, and so is a pair that was known', async (t) => {
    const { guesses } = await open(t)
    await guesses.admit(PAIR, [], 0)
    await guesses.admit(ACCOUNT, [], 1)
    await guesses.takeBack([], { key: 'pair', until: 2 * HOUR })
    await guesses.takeBack([], { key: 'another pair', until: HOUR })

    t.equal(await guesses.prune(HOUR - 1), 0)
    t.equal(await guesses.prune(HOUR), 2)
    t.match(await guesses.admit(PAIR, [ACCOUNT], HOUR), { counts: [{ key: 'pair' }] })
    t.equal(await guesses.prune(2 * HOUR + 1), 3)
  })
})

t.test('request counts', async (t) => {
  t.test('end at one beyond the most that is let in, so that a flood writes nothing', async (t) => {
    const { requestCounts } = await open(t)
    const add = (now: number) => requestCounts.add('address', { max: 2, windowMilliseconds: HOUR }, now)

    for (const count of [1, 2, 3, 3, 3]) t.match(await add(0), { count, until: HOUR })
    t.match(await add(HOUR), { count: 1, until: 2 * HOUR })
  })

  t.test('are forgotten with their window', async (t) => {
    const { requestCounts } = await open(t)
    await requestCounts.add('address', { max: 2, windowMilliseconds: HOUR }, 0)

    t.equal(await requestCounts.prune(HOUR - 1), 0)
    t.equal(await requestCounts.prune(HOUR), 1)
  })
})
