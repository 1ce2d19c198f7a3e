import { createHash } from 'node:crypto'
import t from 'tap'
import { openTestDatabase, openTwice } from './database.ts'
import { allEvents, inBatches, newEntry, newUser } from './rows.ts'
import type { Test } from 'tap'
import type { Database } from '../../../db/index.ts'

/** A database, a function that writes an event of a time into its log, and one that gives the numbers of all events. */
async function prepare (t: Test, database?: Database) {
  const opened = database ?? await openTestDatabase(t)
  const { audit } = opened
  return { ...opened, add: (at: number, changes = {}) => audit.add(newEntry(at, changes)), all: () => allEvents(opened) }
}

function sequences (events: Array<{ sequence: number }>) {
  return events.map(({ sequence }) => sequence)
}

t.test('The audit log', async (t) => {
  t.test('chains each event to the one before, as docs/audit.md says', async (t) => {
    const { audit, add, all } = await prepare(t)
    const details = { roles: ['é'] }
    await add(1000, { actorId: 'a', subject: 'a', session: 's', ip: '192.0.2.1', userAgent: 'curl "1"', requestId: 'r', details })
    await add(2000, { target: 'k' })

    const [first, second] = await all()

    const sha256 = (members: unknown[]) => createHash('sha256').update(JSON.stringify(members)).digest('hex')
    const fixed = ['signed_in', 'done', 'user']
    const members = [1, 1000, ...fixed, 'a', 'a', 's', null, '192.0.2.1', 'curl "1"', 'r', '{"roles":["é"]}']
    const hash = sha256(['0'.repeat(64), ...members])
    t.equal(first?.hash.toString('hex'), hash)
    t.equal(second?.hash.toString('hex'), sha256([hash, 2, 2000, ...fixed, null, null, null, 'k', null, null, null, null]))
    t.same(first?.details, details)
    t.match(await audit.verify(), { events: 2, last: { sequence: 2 }, broken: undefined, hasHead: true })
  })

  t.test('has an event when its operation was done, and none when not', async (t) => {
    const [one, other] = await openTwice(t)
    const { users, apiClients } = one
    const user = newUser('a', { username: 'ada' })
    const counts: Array<Promise<number>> = []
    const entry = newEntry(1)
    const counted = { ...entry, committed: () => { counts.push(allEvents(other).then(({ length }) => length)) } }

    await users.add(user, counted)
    t.same(await Promise.all(counts), [1], 'and others can read it when it is announced')
    await t.rejects(users.add({ ...user, id: 'b' }, counted), { code: 'username_taken' })
    await apiClients.add({ id: 'c', secretHash: '-', createdAt: 0 }, { ...counted, toEvent: () => undefined })
    await t.rejects(users.add(newUser('c'), newEntry(2, { actorKind: 'nobody' as never })), { message: /audit_\w+_actor_kind/ })

    t.equal(counts.length, 1)
    t.equal((await allEvents(one)).length, 1)
    t.equal(await users.findById('c'), undefined, 'an operation whose event cannot be written is undone')
  })

  t.test('stays one chain, without a gap, when several write at the same time', async (t) => {
    const [one, other] = await openTwice(t)
    const { add } = await prepare(t, one)

    for (let i = 0; i < 10; i++) await Promise.all([add(i), other.audit.add(newEntry(i)), add(i), other.audit.add(newEntry(i))])

    const verified = await Promise.all([one.audit.verify(), other.audit.verify(), one.audit.verify()])
    for (const found of verified) t.match(found, { events: 40, last: { sequence: 40 }, broken: undefined })
  })

  t.test('has the events of one process in the order in which they were answered', async (t) => {
    const { add, all } = await prepare(t)

    for (let i = 0; i < 20; i++) await add(i)

    t.same((await all()).map(({ at }) => at), Array.from({ length: 20 }, (_, i) => i))
  })

  t.test('stays one chain when one of the operations that share a commit is undone', async (t) => {
    const { audit, users, add } = await prepare(t)
    await users.add(newUser('a', { username: 'ada' }))
    let announced = 0
    const counted = { ...newEntry(1), committed: () => { announced++ } }
    const taken = newUser('b', { username: 'ada' })

    const operations = await Promise.allSettled([audit.add(counted), users.add(taken, counted), audit.add(counted)])
    await add(2)

    t.same(operations.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
    t.equal(announced, 2, 'each is announced once')
    t.match(await audit.verify(), { events: 3, broken: undefined })
  })

  t.test('tells whether it has an event that an operator kept as its head', async (t) => {
    const { add, audit } = await prepare(t)
    t.equal((await audit.verify(`0:${'0'.repeat(64)}`)).hasHead, true)
    await add(1)
    await add(2)
    const { last } = await audit.verify()
    await add(3)

    t.equal((await audit.verify(`2:${last.hash.toString('hex')}`)).hasHead, true)
    t.equal((await audit.verify(`2:${'0'.repeat(64)}`)).hasHead, false)
    t.equal((await audit.verify(`4:${last.hash.toString('hex')}`)).hasHead, false)
  })
})

t.test('audit.list', async (t) => {
  t.test('gives events a page at a time, the newest first', async (t) => {
    const { add, audit } = await prepare(t)
    for (const at of [1, 2, 3, 4, 5]) await add(at)

    const first = await audit.list({ limit: 2 })
    const second = await audit.list({ limit: 2, before: first.next })
    const third = await audit.list({ limit: 2, before: second.next })

    t.same([first, second, third].map(({ events }) => sequences(events)), [[5, 4], [3, 2], [1]])
    t.equal(third.next, undefined)
  })

  t.test('finds by account, event, request and time, and refreshes only when they are asked for', async (t) => {
    const { add, audit } = await prepare(t)
    await add(10, { subject: 'a', requestId: 'r1' })
    await add(20, { subject: 'a', requestId: 'r2', event: 'refreshed' })
    await add(30, { subject: 'b', requestId: 'r3', event: 'logged_out' })
    await add(40, { subject: 'a', requestId: 'r4', event: 'logged_out' })
    const found = async (query: object) => sequences((await audit.list({ limit: 10, ...query })).events)

    t.same(await found({}), [4, 3, 2, 1])
    t.same(await found({ subject: 'a' }), [4, 1])
    t.same(await found({ subject: 'a', event: 'refreshed' }), [2])
    t.same(await found({ event: 'logged_out' }), [4, 3])
    t.same(await found({ requestId: 'r3' }), [3])
    t.same(await found({ since: 20 }), [4, 3, 2])
    t.same(await found({ since: 21, subject: 'a' }), [4])
    t.same(await found({ since: 41 }), [])
    t.same(await found({ subject: 'c' }), [])
  })
})

t.test('audit.sessionEnd and audit.lastOf', async (t) => {
  t.test('find what ended a session, and the last event of a target', async (t) => {
    const { add, audit } = await prepare(t)
    for (const [at, session] of ['s1', 's2', 's3'].entries()) await add(at, { session, subject: 'a' })
    await add(10, { event: 'logged_out', session: 's1', subject: 'a' })
    await add(20, { event: 'password_changed', session: 's3', subject: 'a' })
    await add(30, { event: 'key_revoked', target: 'k' })
    await add(40, { event: 'all_sessions_ended', actorKind: 'cli' })

    t.match(await audit.sessionEnd('s1'), { event: 'logged_out' })
    t.match(await audit.sessionEnd('s2'), { event: 'password_changed' })
    t.match(await audit.sessionEnd('s3'), { event: 'all_sessions_ended' })
    t.equal(await audit.sessionEnd('s4'), undefined)
    t.match(await audit.sessionEnd('s4', 'a'), { event: 'password_changed' })
    t.match(await audit.lastOf('k'), { event: 'key_revoked', at: 30 })
    t.equal(await audit.lastOf('other'), undefined)
  })
})

t.test('audit.prune', async (t) => {
  t.test('deletes what is older, and leaves a chain that verifies and goes on', async (t) => {
    const { add, all, audit } = await prepare(t)
    for (const at of [1, 2, 3, 4]) await add(at)
    const head = `2:${(await all())[1]?.hash.toString('hex')}`

    await audit.prune(3)

    t.same(sequences(await all()), [3, 4])
    t.match(await audit.verify(head), { events: 2, broken: undefined, hasHead: true })
    await audit.prune(100)
    t.match(await audit.verify(), { events: 0, last: { sequence: 4 }, broken: undefined })
    await audit.prune(100)
    await add(5)
    t.match(await audit.verify(), { events: 1, last: { sequence: 5 }, broken: undefined })
  })

  t.test('stops at the first young event, even if an older one follows because a clock was set back', async (t) => {
    const { add, all, audit } = await prepare(t)
    for (const at of [1, 9, 2]) await add(at)

    await audit.prune(5)

    t.same(sequences(await all()), [2, 3])
  })

  t.test('deletes what is older beside those who write and those who prune, too', async (t) => {
    const [one, other] = await openTwice(t)
    await inBatches(2200, () => one.audit.add(newEntry(1)))

    await Promise.all([one.audit.prune(5), other.audit.prune(5), ...Array.from({ length: 20 }, () => other.audit.add(newEntry(9)))])

    t.match(await one.audit.verify(), { events: 20, last: { sequence: 2220 }, broken: undefined })
  })
})
