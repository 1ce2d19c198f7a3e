import { createHash } from 'node:crypto'
import Client from 'better-sqlite3'
import t from 'tap'
import { fileOf, openDatabase } from '../../db/index.ts'
import { toColumns } from '../../plugins/accounts/canonical-names.ts'
import { databaseUrl } from '../helper.ts'
import type { Test } from 'tap'

const WINDOW = 50_000

/** A database, a function that writes an event of a time into its log, and another connection to the same file. */
async function prepare (t: Test) {
  const url = databaseUrl(t)
  const database = await openDatabase(url)
  const other = new Client(fileOf(url))
  t.teardown(async () => { other.close(); await database.close() })
  return { ...database, url, other, add: (at: number, more = {}) => database.audit.add(entry(at, more)), count: () => other.prepare('select count(*) from audit_events').pluck().get() }
}

/** The entry of an event of a time. */
function entry (at: number, more = {}) {
  return { toEvent: () => ({ at, event: 'signed_in', outcome: 'done', actorKind: 'user' as const, ...more }), isStored: () => true, committed () {} }
}

function sequences ({ events }: { events: Array<{ sequence: number }> }) {
  return events.map(({ sequence }) => sequence)
}

t.test('The audit log', async (t) => {
  t.test('chains each event to the one before, as docs/audit.md says', async (t) => {
    const { audit, add } = await prepare(t)
    await add(1000, { actorId: 'a', subject: 'a', session: 's', ip: '192.0.2.1', userAgent: 'curl "1"', requestId: 'r', details: { roles: ['é'] } })
    await add(2000, { target: 'k' })

    const [first, second] = [...audit.walk()]

    const sha256 = (members: unknown[]) => createHash('sha256').update(JSON.stringify(members)).digest('hex')
    const hash = sha256(['0'.repeat(64), 1, 1000, 'signed_in', 'done', 'user', 'a', 'a', 's', null, '192.0.2.1', 'curl "1"', 'r', '{"roles":["é"]}'])
    t.equal(first?.hash.toString('hex'), hash)
    t.equal(second?.hash.toString('hex'), sha256([hash, 2, 2000, 'signed_in', 'done', 'user', null, null, null, 'k', null, null, null, null]))
    t.match(await audit.verify(), { events: 2, last: { sequence: 2 }, broken: undefined, hasHead: true })
  })

  t.test('has an event when its operation was done, and none when not', async (t) => {
    const { audit, users, apiClients, count } = await prepare(t)
    const user = { id: 'a', ...toColumns({ username: 'ada' }), passwordHash: '-', roles: [], createdAt: 0 }
    const counts: unknown[] = []
    const counted = { ...entry(1), committed: () => { counts.push(count()) } }

    await users.add(user, counted)
    t.same(counts, [1], 'and others can read it when it is announced')
    await t.rejects(users.add({ ...user, id: 'b' }, counted), { code: 'username_taken' })
    await apiClients.add({ id: 'c', secretHash: '-', createdAt: 0 }, { ...counted, toEvent: () => undefined })
    await t.rejects(users.add({ ...user, id: 'c', ...toColumns({ username: 'cleo' }) }, entry(2, { actorKind: 'nobody' })), { code: 'SQLITE_CONSTRAINT_CHECK' })

    t.equal(counts.length, 1)
    t.equal([...audit.walk()].length, 1)
    t.equal(await users.findById('c'), undefined, 'an operation whose event cannot be written is undone')
  })

  t.test('stays one chain, without a gap, when several write at the same time', async (t) => {
    const { url, add, audit } = await prepare(t)
    const other = await openDatabase(url)
    t.teardown(() => other.close())

    for (let i = 0; i < 10; i++) await Promise.all([add(i), other.audit.add(entry(i)), add(i), other.audit.add(entry(i))])

    t.match(await audit.verify(), { events: 40, last: { sequence: 40 }, broken: undefined })
    t.match(await other.audit.verify(), { events: 40 })
  })

  t.test('stays one chain when one of the operations that share a commit is undone', async (t) => {
    const { audit, users, add } = await prepare(t)
    const user = { id: 'a', ...toColumns({ username: 'ada' }), passwordHash: '-', roles: [], createdAt: 0 }
    await users.add(user)
    let announced = 0
    const counted = { ...entry(1), committed: () => { announced++ } }

    const operations = await Promise.allSettled([audit.add(counted), users.add({ ...user, id: 'b' }, counted), audit.add(counted)])
    await add(2)

    t.same(operations.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
    t.equal(announced, 2, 'each is announced once')
    t.match(await audit.verify(), { events: 3, broken: undefined })
  })

  const whole = await prepare(t)
  for (const at of [1, 2, 3]) await whole.add(at)
  for (const [what, statement] of [
    ['changed', "update audit_events set outcome = 'other' where sequence = 2"],
    ['deleted at its end', 'delete from audit_events where sequence = 3'],
    ['deleted in its middle', 'delete from audit_events where sequence = 2'],
    ['replaced', "replace into audit_events select 2, at, event, 'other', actor_kind, actor_id, subject, session, target, ip, user_agent, request_id, details, hash from audit_events where sequence = 2"],
    ['written with a gap', "insert into audit_events (sequence, at, event, outcome, actor_kind, hash) values (5, 0, '', '', 'user', zeroblob(32))"],
    ['given another anchor', 'update audit_anchor set sequence = 2'],
    ['left without an anchor', 'delete from audit_anchor'],
    ['given a second anchor', 'replace into audit_anchor values (1, 3, zeroblob(32))']
  ] as const) {
    t.test(`cannot be ${what}`, async (t) => {
      t.throws(() => whole.other.exec(statement), { code: 'SQLITE_CONSTRAINT_TRIGGER' })

      t.match(await whole.audit.verify(), { events: 3, broken: undefined })
    })
  }

  for (const [what, statement, broken] of [
    ['changed', "update audit_events set outcome = 'other' where sequence = 2", 2],
    ['given another hash', 'update audit_events set hash = zeroblob(32) where sequence = 3', 3],
    ['deleted in the middle', 'delete from audit_events where sequence = 2', 3],
    ['deleted at the beginning', 'delete from audit_events where sequence = 1', 2]
  ] as const) {
    t.test(`shows what was ${what} past its triggers`, async (t) => {
      const { other, add, audit } = await prepare(t)
      for (const at of [1, 2, 3]) await add(at)
      for (const trigger of ['audit_events_stay', 'audit_events_go_from_the_beginning']) other.exec(`drop trigger ${trigger}`)

      other.exec(statement)

      t.equal((await audit.verify()).broken, broken)
    })
  }

  t.test('shows to an operator who kept its head that its end was cut off', async (t) => {
    const { other, add, audit } = await prepare(t)
    const nothing = `0:${'0'.repeat(64)}`
    t.equal((await audit.verify(nothing)).hasHead, true)
    await add(1)
    await add(2)
    const { last } = await audit.verify()
    const head = `2:${last.hash.toString('hex')}`
    t.equal((await audit.verify(head)).hasHead, true)

    other.exec('drop trigger audit_events_go_from_the_beginning; delete from audit_events where sequence = 2')
    await add(3)

    t.match(await audit.verify(head), { broken: undefined, hasHead: false })
  })
})

t.test('audit.prune', async (t) => {
  t.test('deletes what is older, and leaves a chain that verifies and goes on', async (t) => {
    const { add, audit } = await prepare(t)
    for (const at of [1, 2, 3, 4]) await add(at)
    const head = `2:${[...audit.walk()][1]?.hash.toString('hex')}`

    await audit.prune(3)

    t.same(sequences({ events: [...audit.walk()] }), [3, 4])
    t.match(await audit.verify(head), { events: 2, broken: undefined, hasHead: true })
    await audit.prune(100)
    t.match(await audit.verify(), { events: 0, last: { sequence: 4 }, broken: undefined })
    await audit.prune(100)
    await add(5)
    t.match(await audit.verify(), { events: 1, last: { sequence: 5 }, broken: undefined })
  })

  t.test('stops at the first young event, even if an older one follows because a clock was set back', async (t) => {
    const { add, audit } = await prepare(t)
    for (const at of [1, 9, 2]) await add(at)

    await audit.prune(5)

    t.same(sequences({ events: [...audit.walk()] }), [2, 3])
  })
})

t.test('A long log', async (t) => {
  const { audit, other, add, count } = await prepare(t as Test)
  await add(0, { event: 'rare', subject: 'a', requestId: 'r' })
  other.exec(`with recursive n (i) as (select 2 union all select i + 1 from n where i < ${WINDOW + 10})
    insert into audit_events (sequence, at, event, outcome, actor_kind, subject, request_id, hash) select i, i * 10, 'refreshed', 'rotated', 'user', 'a', 'r', zeroblob(32) from n`)

  t.test('is searched in parts where no index helps', async (t) => {
    const first = await audit.list({ limit: 10, event: 'rare' })
    const second = await audit.list({ limit: 10, event: 'rare', before: first.next })

    t.match(first, { events: [], next: 11 })
    t.same(sequences(second), [1])
    t.equal(second.next, undefined)
  })

  t.test('is found by account and by request at once, save refreshes', async (t) => {
    for (const query of [{ subject: 'a' }, { requestId: 'r' }]) {
      const found = await audit.list({ limit: 10, ...query })
      t.same(sequences(found), [1])
      t.equal(found.next, undefined)
      t.same(sequences(await audit.list({ limit: 2, event: 'refreshed', ...query })), [WINDOW + 10, WINDOW + 9])
    }
  })

  t.test('is read from a time on', async (t) => {
    const { events, next } = await audit.list({ limit: 10, since: WINDOW * 10 + 75 })

    t.same(sequences({ events }), [10, 9, 8].map((more) => WINDOW + more))
    t.equal(next, undefined)
    t.same((await audit.list({ limit: 10, since: WINDOW * 20 })).events, [])
    t.equal((await audit.list({ limit: 1, since: 0 })).next, WINDOW + 10)
  })

  t.test('is pruned a thousand at a time, up to the last old event', async (t) => {
    await audit.prune((WINDOW - 2_000) * 10)

    t.equal(count(), 2_011)
  })
})
