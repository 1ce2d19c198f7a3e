import t from 'tap'
import { openTestDatabase } from './database.ts'
import { newEntry, newKey, newSession, newUser, rotationAt } from './rows.ts'

/** Around the end of what a number of JavaScript tells apart, and of what 32 bits hold. */
const NUMBERS = [0, -1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, -(2 ** 31) - 1, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, -(2 ** 53)]

for (const number of NUMBERS) {
  t.test(`The number ${number}`, async (t) => {
    const database = await openTestDatabase(t)
    const { apiClients, audit, jobs, news, probe, requestCounts, revocations, serviceState, sessions } = database
    const { signInLimits, signingKeys, statusLists, users } = database

    t.test('is kept as the time of a revocation, and is no place in a list that is not there', async (t) => {
      await revocations.add('token', number, { list: 'none', index: number, until: number })

      t.match(await revocations.since(0), [{ revokedId: 'token', until: number }])
      t.equal((await revocations.since(number)).length, number <= 0 ? 1 : 0)
      t.equal(await revocations.count(number), 0)
      t.same(await statusLists.live(number), [])
      t.equal(await statusLists.prune(number), 0)
      t.equal(await revocations.prune(number), 1)
    })

    t.test('is kept as the time of an account and of a session', async (t) => {
      const user = await users.add(newUser('a', undefined, { createdAt: number }))
      const times = { createdAt: number, lastUsedAt: number, expiresAt: number, accessExpiresAt: number }

      const session = await sessions.add(newSession('as', 'a', times), user)

      t.match(await users.findById('a'), { createdAt: number, passwordChangedAt: number })
      t.match(await users.list({ limit: 1, after: { createdAt: number - 2, id: '' } }), [{ id: 'a' }])
      t.same(await sessions.findById('as'), session)
      t.match(session, { ...times, statusEntries: [{ until: number }] })
      t.same(await sessions.list('a', number), [])
    })

    t.test('is kept as the times of a refresh and of a new password', async (t) => {
      const user = await users.add(newUser('b'))
      await sessions.add(newSession('bs', 'b', { accessExpiresAt: -(2 ** 53) }), user)
      const times = { lastUsedAt: number, expiresAt: number, accessExpiresAt: number }

      const result = await sessions.rotate('bs', 0, rotationAt(0, { timesOf: () => times }))

      t.match(result, { outcome: 'rotated', session: times })
      t.match(await sessions.findById('bs'), times)
      await users.setPassword('b', 'hash', number)
      t.match(await users.findById('b'), { passwordChangedAt: number })
    })

    t.test('is no generation of a session that is not there yet', async (t) => {
      const user = await users.add(newUser('c'))
      await sessions.add(newSession('cs', 'c'), user)

      const expected = { 0: 'rotated', '-1': 'replayed_in_grace' }[number] ?? 'reused'
      t.match(await sessions.rotate('cs', number, rotationAt(1)), { outcome: expected })
    })

    t.test('is kept as the time of a key, a client, a count, a job and a state', async (t) => {
      const key = { ...newKey('k', number), createdAt: number }

      await signingKeys.add(key, undefined, number)
      await apiClients.add({ id: 'c', secretHash: '', createdAt: number })
      await serviceState.record({ name: 'value' }, number)
      await signInLimits.forgive([], { key: 'pair', until: number })

      t.match(await signingKeys.list(), [key])
      t.match(await apiClients.findById('c'), { createdAt: number })
      t.equal(await jobs.claim('job', 100, number), true)
      t.equal(await jobs.claim('job', 100, number), false)
      t.match(await requestCounts.add('key', { max: 1, windowMilliseconds: 0 }, number), { count: 1, until: number })
      t.equal(await signInLimits.prune(number), 1)
    })

    t.test('is kept as the time of an event, and finds no wrong event', async (t) => {
      await audit.add(newEntry(number, { subject: 'a' }))

      t.match((await audit.list({ limit: 10 })).events, [{ at: number }])
      t.equal((await audit.list({ limit: 10, since: number })).events.length, 1)
      t.equal((await audit.list({ limit: 10, before: number, subject: 'a' })).events.length, number > 1 ? 1 : 0)
      await t.resolves(audit.list({ limit: 10, before: number }))
      t.match(await audit.verify(), { events: 1, broken: undefined })
      await audit.prune(number)
      t.equal((await audit.list({ limit: 10 })).events.length, 1)
    })

    t.test('is taken by the probe, and as the time up to which all is pruned', async (t) => {
      const user = await users.add(newUser('d'))
      await sessions.prune(2 ** 53 + 4)
      await sessions.add(newSession('ds', 'd', { expiresAt: 5, accessExpiresAt: 5 }), user)

      await news.begin(0)
      await t.resolves(probe(number))
      t.equal(await sessions.prune(number), number >= 5 ? 1 : 0)
      t.equal(await users.pruneFreedNames(number), 0)
    })
  })
}
