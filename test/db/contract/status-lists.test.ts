import t from 'tap'
import { openTestDatabase, openThrice, openTwice } from './database.ts'
import { inBatches, newSession, newUser } from './rows.ts'
import type { Test } from 'tap'
import type { Database } from '../../../db/index.ts'
import type { User } from '../../../db/schema/index.ts'

const DAY = 86_400_000
const BLOCK = 1024
const LIFETIME = 1000

/** An account has a hundred sessions at most: for more places there are more accounts. */
const SESSIONS_OF_ONE = 100

/** Gives out places, as sign-ins do: a function that gives the place of a token which is issued at a time. */
function placing ({ sessions, users }: Database, name = 'somebody') {
  const accounts: Array<Promise<User>> = []
  let count = 0
  return async (now = 0, lifetime = LIFETIME) => {
    const id = `${name}'s ${count}`
    const number = Math.floor(count++ / SESSIONS_OF_ONE)
    const user = await (accounts[number] ??= users.add(newUser(`${name} ${number}`)))
    const session = newSession(id, user.id, { createdAt: now, accessExpiresAt: now + lifetime })
    return (await sessions.add(session, user))!.statusEntries[0]!
  }
}

async function prepare (t: Test) {
  const database = await openTestDatabase(t)
  const place = placing(database)
  /** Gives the first of so many places that the last ones come from memory. */
  const placeSome = async (now: number) => (await inBatches(150, () => place(now)))[0]!
  return { ...database, place, placeSome }
}

function distinct (places: Array<{ list: string, index: number }>): number {
  return new Set(places.map(({ list, index }) => `${list} ${index}`)).size
}

t.test('A place in a status list', async (t) => {
  t.test('is given out once, by each process from its own blocks', async (t) => {
    const processes = await openTwice(t)
    const places = await Promise.all(processes.map((database, i) => {
      const place = placing(database, `process ${i}`)
      return inBatches(BLOCK + 300, () => place())
    }))

    t.equal(distinct(places.flat()), 2 * (BLOCK + 300))
    t.equal(new Set(places.flat().map(({ list }) => list)).size, 1, 'all are in one list')
    for (const { index } of places.flat()) if (!Number.isInteger(index) || index < 0 || index >= 2 ** 20) t.fail(`${index}`)
  })

  t.test('is given out once though operations that asked for one were undone', async (t) => {
    const { users, sessions } = await openTestDatabase(t)
    const user = await users.add(newUser('a'))
    const add = (id: string) => sessions.add(newSession(id, 'a'), user)

    const results = await Promise.allSettled(Array.from({ length: 60 }, (_, i) => add(`s${Math.floor(i / 2)}`))) // half of them fail
    const later = await Promise.all(Array.from({ length: 20 }, (_, i) => add(`later ${i}`)))

    const given = [...results.map((result) => result.status === 'fulfilled' ? result.value : undefined), ...later]
    const places = given.flatMap((session) => session?.statusEntries ?? [])
    t.equal(places.length, 50)
    t.equal(distinct(places), 50)
  })

  t.test('is given out once, from the first moment on, by three processes that begin at once', async (t) => {
    const processes = await openThrice(t)
    const placers = processes.map((database, i) => placing(database, `process ${i}`))

    const places = await inBatches(60, (i) => placers[i % 3]!())

    t.equal(distinct(places), 60)
    t.equal(new Set(places.map(({ list }) => list)).size, 1, 'all are in one list')
  })

  t.test('is in another list after a day', async (t) => {
    const { place } = await prepare(t)

    const lists = []
    for (const now of [0, DAY - 1, DAY, 2 * DAY - 1]) lists.push((await place(now)).list)

    t.equal(lists[1], lists[0])
    t.not(lists[2], lists[1])
    t.equal(lists[3], lists[2])
  })

  t.test('is given out once when three processes go over to another list at once, and all go to the same', async (t) => {
    const processes = await openThrice(t)
    const placers = processes.map((database, i) => placing(database, `process ${i}`))
    const today = await inBatches(30, (i) => placers[i % 3]!(5))

    // The clocks of three machines never agree: some of these are still today's.
    const places = await inBatches(90, (i) => placers[i % 3]!(DAY + 5 - 2 + i % 4))
    const later = await inBatches(30, (i) => placers[i % 3]!(DAY + 10))

    t.equal(distinct([...today, ...places, ...later]), 150)
    t.equal(new Set(today.map(({ list }) => list)).size, 1)
    t.equal(new Set(later.map(({ list }) => list)).size, 1)
    t.not(later[0]!.list, today[0]!.list)
    t.equal((await processes[0].statusLists.live(0)).length, 2)
  })
})

t.test('A status list', async (t) => {
  t.test('has the bits that were set, each once, and none of a list that is gone', async (t) => {
    const { revocations, statusLists, place } = await prepare(t)
    const first = await place()
    const second = await place()

    await revocations.add('one', 1000, first)
    await revocations.add('two', 1000, second)
    await revocations.add('another of the same place', 1000, first)
    await revocations.add('of no list', 1000, { list: 'gone', index: 1, until: 1000 })

    t.same((await statusLists.revoked(first.list)).sort(), [first.index, second.index].sort())
    t.equal(await statusLists.countRevoked(first.list), 2)
    t.same(await statusLists.revoked('gone'), [])
    t.equal(await statusLists.countRevoked('gone'), 0)
  })
})

t.test('statusLists.live', async (t) => {
  t.test('gives the lists in which a token may still be good, the oldest first', async (t) => {
    const { placeSome, statusLists } = await prepare(t)
    const { list: first } = await placeSome(0)
    const { list: second } = await placeSome(DAY)

    t.same(await statusLists.live(LIFETIME - 1), [first, second])
    t.same(await statusLists.live(DAY + LIFETIME - 1), [first, second], 'places in memory are good for as long as a list is open')
    t.same((await statusLists.live(2 * DAY)).at(-1), second)
    t.same(await statusLists.live(2 * DAY + LIFETIME), [])
  })

  t.test('gives a list until the last of its tokens has expired, if that lives longer than others, too', async (t) => {
    const { place, statusLists } = await prepare(t)
    await place()
    const { list, until } = await place(5, 3 * DAY)

    t.same(await statusLists.live(until - 1), [list])
  })
})

t.test('statusLists.prune', async (t) => {
  t.test('deletes the lists whose tokens have all expired, with their bits, and none that takes new ones', async (t) => {
    const { place, placeSome, statusLists, revocations } = await prepare(t)
    const first = await placeSome(0)
    const second = await placeSome(DAY)
    for (const [i, place] of [first, second].entries()) await revocations.add(`token ${i}`, place.until, place)
    t.same([await statusLists.revoked(first.list), await statusLists.countRevoked(second.list)], [[first.index], 1])

    t.equal(await statusLists.prune(LIFETIME), 0)
    t.equal(await statusLists.prune(DAY + LIFETIME), 1)

    t.same(await statusLists.live(0), [second.list])
    t.same([await statusLists.countRevoked(first.list), await statusLists.countRevoked(second.list)], [0, 1])
    t.equal((await place(DAY + LIFETIME)).list, second.list)
    t.equal(await statusLists.prune(2 * DAY + 2 * LIFETIME), 1)
    t.same(await statusLists.live(0), [])
  })
})
