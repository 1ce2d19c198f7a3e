import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { fileOf } from '../../db/sqlite/index.ts'
import { databaseUrl } from '../helper.ts'
import { newEntry, newUser } from './contract/rows.ts'
import type { Test } from 'tap'

const WINDOW = 50_000

/** A database, a function that writes an event of a time into its log, and another connection to the same file. */
async function prepare (t: Test) {
  const url = databaseUrl(t)
  const database = await openDatabase(url)
  const other = new Client(fileOf(url))
  t.teardown(async () => { other.close(); await database.close() })
  const count = () => other.prepare('select count(*) from audit_events').pluck().get()
  return { ...database, other, count, add: (at: number, changes = {}) => database.audit.add(newEntry(at, changes)) }
}

function sequences ({ events }: { events: Array<{ sequence: number }> }) {
  return events.map(({ sequence }) => sequence)
}

t.test('The audit log, on SQLite', async (t) => {
  t.test('has an event that others can read when it is announced, and none of what was undone', async (t) => {
    const { users, count } = await prepare(t)
    const user = newUser('a', { username: 'ada' })
    const counts: unknown[] = []
    const counted = { ...newEntry(1), committed: () => { counts.push(count()) } }

    await users.add(user, counted)
    await t.rejects(users.add({ ...user, id: 'b' }, counted), { code: 'username_taken' })
    await t.rejects(users.add(newUser('c'), newEntry(2, { actorKind: 'nobody' as never })), { code: 'SQLITE_CONSTRAINT_CHECK' })

    t.same(counts, [1])
    t.equal(count(), 1)
  })

  const whole = await prepare(t)
  for (const at of [1, 2, 3]) await whole.add(at)
  for (const [what, statement] of [
    ['changed', "update audit_events set outcome = 'other' where sequence = 2"],
    ['deleted at its end', 'delete from audit_events where sequence = 3'],
    ['deleted in its middle', 'delete from audit_events where sequence = 2'],
    ['replaced', `replace into audit_events
      select 2, at, event, 'other', actor_kind, actor_id, subject, session, target, ip, user_agent, request_id, details, hash
      from audit_events where sequence = 2`],
    ['written with a gap', `insert into audit_events (sequence, at, event, outcome, actor_kind, hash)
      values (5, 0, '', '', 'user', zeroblob(32))`],
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

t.test('A long log', async (t) => {
  const { audit, other, add, count } = await prepare(t as Test)
  await add(0, { event: 'rare', subject: 'a', requestId: 'r' })
  other.exec(`with recursive n (i) as (select 2 union all select i + 1 from n where i < ${WINDOW + 10})
    insert into audit_events (sequence, at, event, outcome, actor_kind, subject, request_id, hash)
    select i, i * 10, 'refreshed', 'rotated', 'user', 'a', 'r', zeroblob(32) from n`)

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
