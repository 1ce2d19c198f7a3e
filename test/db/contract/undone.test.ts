import t from 'tap'
import { openTwice } from './database.ts'
import { allEvents, newEntry, newSession, newUser, revokedIds } from './rows.ts'
import type { Test } from 'tap'
import type { NewAuditEvent } from '../../../db/schema/index.ts'

const FAULT = new Error('no')

/** Two accounts with a session each, and a function that gives all that is stored, as another process sees it. */
async function prepare (t: Test) {
  const [database, other] = await openTwice(t)
  const { sessions, users } = database
  for (const id of ['a', 'b']) await sessions.add(newSession(`${id}s`, id), await users.add(newUser(id)))

  async function stored () {
    const accounts = await other.users.list({ limit: 10 })
    const found = await Promise.all(['as', 'bs', 'new'].map((id) => other.sessions.findById(id)))
    const lists = await other.statusLists.live(0)
    const bits = await Promise.all(lists.map((list) => other.statusLists.revoked(list)))
    const events = await allEvents(other)
    return { accounts, found, bits, events, revoked: await revokedIds(other), clients: await other.apiClients.list() }
  }

  return { ...database, other, stored }
}

/** An entry whose event is made by a function. */
function entryOf (toEvent: () => NewAuditEvent | undefined) {
  return { ...newEntry(1), toEvent }
}

t.test('An operation that fails after it has written leaves nothing', async (t) => {
  t.test('when its last statement fails', async (t) => {
    const { stored, users } = await prepare(t)
    const before = await stored()

    await t.rejects(users.changePassword(newSession('bs', 'a'), 'new hash', newEntry(1)), { code: 'taken' })

    t.same(await stored(), before)
  })

  t.test('when its event cannot be made', async (t) => {
    const { stored, users } = await prepare(t)
    const before = await stored()

    await t.rejects(users.setPassword('a', 'new hash', 5, entryOf(() => { throw FAULT })), FAULT)

    t.same(await stored(), before)
  })

  t.test('when its event cannot be stored', async (t) => {
    const { sessions, stored } = await prepare(t)
    const before = await stored()

    await t.rejects(sessions.end('as', undefined, newEntry(1, { actorKind: 'nobody' as never })), { message: /actor_kind/ })

    t.same(await stored(), before)
  })

  t.test('and those beside it are done', async (t) => {
    const { apiClients, other, sessions, stored, users } = await prepare(t)
    const before = await stored()
    const client = (id: string) => ({ id, secretHash: '-', createdAt: 0 })

    const results = await Promise.allSettled([
      apiClients.add(client('c1')),
      users.changePassword(newSession('bs', 'a'), 'new hash', newEntry(1)),
      other.apiClients.add(client('c2')),
      sessions.endAll('a', entryOf(() => { throw FAULT })),
      apiClients.add(client('c3'), newEntry(3))
    ])

    t.same(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'])
    const after = await stored()
    t.same(after.clients.map(({ id }) => id), ['c1', 'c2', 'c3'])
    t.same(after.events.map(({ at }) => at), [3])
    t.same({ ...after, clients: [], events: [] }, before)
  })

  t.test('and the next one is done as if there had been none', async (t) => {
    const { stored, users } = await prepare(t)

    for (let i = 0; i < 30; i++) await t.rejects(users.changePassword(newSession('bs', 'a'), 'new hash'), { code: 'taken' })
    t.match(await users.changePassword(newSession('new', 'a'), 'newer hash'), { id: 'new' })

    const { accounts, revoked } = await stored()
    t.match(accounts, [{ id: 'a', passwordHash: 'newer hash' }, { id: 'b', passwordHash: 'hash of b' }])
    t.same(revoked, ['as'])
  })

  t.test('and tells nobody that it was done', async (t) => {
    const { users } = await prepare(t)
    const told: unknown[] = []
    const entry = { ...newEntry(1), committed: (event: unknown) => { told.push(event) } }

    await t.rejects(users.changePassword(newSession('bs', 'a'), 'new hash', entry), { code: 'taken' })
    await users.setPassword('a', 'new hash', 5, entry)

    t.equal(told.length, 1)
  })
})
