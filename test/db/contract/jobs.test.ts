import t from 'tap'
import { openTestDatabase, openTwice } from './database.ts'

t.test('jobs.claim', async (t) => {
  t.test('gives a job to one of many processes', async (t) => {
    const [one, other] = await openTwice(t)

    const claims = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? one : other).jobs.claim('prune', 100, 0)))
    t.equal(claims.filter(Boolean).length, 1)
    const again = await Promise.all([one.jobs.claim('prune', 100, 100), other.jobs.claim('prune', 100, 100)])
    t.same(again.sort(), [false, true])
  })

  t.test('gives a job again when its interval is over', async (t) => {
    const { jobs } = await openTestDatabase(t)
    t.equal(await jobs.claim('prune', 100, 1000), true)

    t.equal(await jobs.claim('prune', 100, 1099), false)
    t.equal(await jobs.claim('prune', 100, 1100), true)
    t.equal(await jobs.claim('prune', 100, 1199), false)
    t.equal(await jobs.claim('prune', 100, 9999), true, 'also long afterwards')
  })

  t.test('keeps each job apart', async (t) => {
    const { jobs } = await openTestDatabase(t)

    t.equal(await jobs.claim('prune', 100, 0), true)
    t.equal(await jobs.claim('rotate', 100, 0), true)
  })

  t.test('gives a job at once when the clock was set back, and not twice for a small step', async (t) => {
    const { jobs } = await openTestDatabase(t)
    await jobs.claim('prune', 100, 1000)

    t.equal(await jobs.claim('prune', 100, 1000), false)
    t.equal(await jobs.claim('prune', 100, 999), true)
    t.equal(await jobs.claim('prune', 100, 999), false)
    t.equal(await jobs.claim('prune', 100, 1099), true)
  })

  t.test('gives a job earlier when its interval was shortened', async (t) => {
    const { jobs } = await openTestDatabase(t)
    await jobs.claim('prune', 100_000, 1000)

    t.equal(await jobs.claim('prune', 100, 1001), true)
  })
})
