import fc from 'fast-check'
import t from 'tap'
import { withAudit } from '../../db/audit-entry.ts'
import { execute } from '../../db/engine.ts'
import { revocationsRepository } from '../../db/revocations.ts'
import { connect } from '../../db/sqlite/connection.ts'
import { fileOf, openSqlite } from '../../db/sqlite/index.ts'
import { statusListsRepository } from '../../db/status-lists.ts'
import { statusPlaces } from '../../db/status-places.ts'
import { databaseUrl } from '../helper.ts'
import type { Test } from 'tap'
import type { Operation } from '../../db/engine.ts'
import type { StatusEntry } from '../../db/schema/index.ts'
import type { PlaceFor } from '../../db/status-places.ts'
import type { Store } from '../../db/store.ts'

const DAY = 86_400_000
const CAPACITY = 2 ** 20
const BLOCK = 1024

/** Takes no block: each place is taken by itself. */
function placesOneByOne (store: Store): PlaceFor {
  return statusPlaces({ ...store, write: () => new Promise<never>(() => {}) })
}

/** Many places, in one operation. */
function takeMany (placeFor: PlaceFor, count: number) {
  return function * (): Operation<StatusEntry[]> {
    const places = []
    for (let i = 0; i < count; i++) places.push(yield * placeFor(1000, 0))
    return places
  }
}

/** A store, functions that give out places, and another connection to the file. */
async function prepare (t: Test) {
  const url = databaseUrl(t)
  function open () {
    const store = openSqlite(url)
    t.teardown(() => store.close())
    return store
  }
  const store = open()
  const client = connect(fileOf(url))
  client.pragma('synchronous = OFF')
  t.teardown(() => client.close())
  const placeFor = placesOneByOne(store)
  return {
    store,
    /** The file once more, as another process would open it. */
    open,
    client,
    place: (until: number, now: number) => store.write(() => placeFor(until, now)),
    placeMany: (count: number) => store.write(takeMany(placeFor, count)),
    statusLists: statusListsRepository(store, store.write),
    issued: () => client.prepare<[], number>('select issued from status_lists order by closes_at desc').pluck().all(),
    setIssued: (issued: number) => client.prepare('update status_lists set issued = ?').run(issued)
  }
}

function distinct (places: StatusEntry[]): number {
  return new Set(places.map(({ list, index }) => `${list} ${index}`)).size
}

function ascents (places: StatusEntry[]): number {
  return places.filter(({ index }, i) => i > 0 && index > places[i - 1]!.index).length
}

t.test('A place in a status list, on SQLite', async (t) => {
  t.test('is given out once, among many in a row', async (t) => {
    const { placeMany, statusLists } = await prepare(t)

    const places = await placeMany(20_000)

    t.equal(distinct(places), places.length)
    t.ok(places.every(({ index }) => Number.isInteger(index) && index >= 0 && index < CAPACITY))
    t.equal(statusLists.capacity, CAPACITY)
  })

  t.test('is given out once, for any seed and anywhere in the list', async (t) => {
    const { place, store } = await prepare(t)
    const { list } = await place(1000, 0)
    const move = store.text<[counter: number, seed: Buffer, list: string]>('update status_lists set issued = ?, seed = ? where id = ?')
    const counters = fc.uniqueArray(fc.integer({ min: 0, max: CAPACITY - 1 }), { minLength: 100, maxLength: 200 })
    const seeds = fc.uint8Array({ minLength: 16, maxLength: 16 })

    await fc.assert(fc.asyncProperty(counters, seeds, async (counters, seed) => {
      const seededPlaceFor = placesOneByOne(store) // it reads the seed of a list once
      const places = await store.write(function * () {
        const places = []
        for (const counter of counters) {
          yield * execute(move, [counter, Buffer.from(seed), list])
          places.push(yield * seededPlaceFor(1000, 0))
        }
        return places
      })
      return distinct(places) === counters.length
    }), { numRuns: 20 })
  })

  t.test('does not reveal when its token was issued', async (t) => {
    const { placeMany, store } = await prepare(t)
    const inBlocks = statusPlaces(store)
    await store.write(() => inBlocks(1000, 0))

    for (const places of [await placeMany(1000), await store.write(takeMany(inBlocks, 1000))]) {
      t.ok(ascents(places) > 350 && ascents(places) < 650, `${ascents(places)} of 999 are greater than the one before`)
    }
  })

  t.test('is given out from memory, a thousand to a block, by each process from its own', async (t) => {
    const { open, issued } = await prepare(t)
    const places = await Promise.all([1, 2].map(async () => {
      const store = open()
      const placeFor = statusPlaces(store)
      const taken = []
      for (let i = 0; i < 1500; i++) taken.push(await store.write(() => placeFor(1000, 0)))
      return taken
    }))

    const [count = 0, ...others] = issued()
    t.equal(distinct(places.flat()), 3000)
    t.same(others, [])
    t.ok(count >= 4 * BLOCK && count < 4 * BLOCK + 100, `${count} were taken`)
  })

  t.test('is given out by one operation after the other when no block can be taken, and from memory when one can', async (t) => {
    const { store, issued } = await prepare(t)
    let fails = true
    const write: Store['write'] = (operation) => fails ? Promise.reject(new Error('full')) : store.write(operation)
    const placeFor = statusPlaces({ ...store, write })
    const take = async (count: number) => {
      const taken = []
      for (let i = 0; i < count; i++) taken.push(await store.write(() => placeFor(1000, 0)))
      return taken
    }

    const before = await take(20)
    t.same(issued(), [20])
    fails = false
    const after = await take(20)

    t.equal(distinct([...before, ...after]), 40)
    const [count = 0] = issued()
    t.ok(count > BLOCK && count < BLOCK + 40, `${count} were taken`)
  })

  t.test('is in another list once the list is full', async (t) => {
    const { place, setIssued } = await prepare(t)
    const { list } = await place(1000, 0)
    setIssued(CAPACITY - 1)

    const [last, next, one] = [await place(1000, 0), await place(1000, 0), await place(1000, 0)]

    t.equal(last.list, list)
    t.not(next.list, list)
    t.equal(one.list, next.list)
  })

  t.test('is given out once when the list is full soon, by three processes that take what is left in blocks', async (t) => {
    const { place, open, issued, setIssued } = await prepare(t)
    const { list } = await place(1000, 0)
    setIssued(CAPACITY - BLOCK - 10)

    const placers = [open(), open(), open()].map((store) => ({ store, placeFor: statusPlaces(store) }))
    const places = await Promise.all(placers.map(async ({ store, placeFor }) => {
      const taken = []
      for (let i = 0; i < BLOCK + 100; i++) taken.push(await store.write(() => placeFor(1000, 0)))
      return taken
    }))

    t.equal(distinct(places.flat()), 3 * (BLOCK + 100))
    t.equal(new Set(places.flat().map(({ list }) => list)).size, 2, 'there is one more list')
    t.equal(places.flat().filter((place) => place.list === list).length, BLOCK + 10, 'the first is used up')
    t.ok(issued().every((count) => count <= CAPACITY))
  })

  t.test('is in another list after a day', async (t) => {
    const { place } = await prepare(t)

    const lists = []
    for (const now of [0, DAY - 1, DAY, 2 * DAY - 1]) lists.push((await place(now + 1000, now)).list)

    t.equal(lists[1], lists[0])
    t.not(lists[2], lists[1])
    t.equal(lists[3], lists[2])
  })
})

t.test('statusLists.live, of places that were taken one by one', async (t) => {
  t.test('gives the lists in which a token may still be good, the oldest first', async (t) => {
    const { place, statusLists } = await prepare(t)
    const { list: first } = await place(DAY + 5000, 0)
    await place(1000, 0)
    const { list: second } = await place(DAY + 1000, DAY)

    t.same(await statusLists.live(DAY + 999), [first, second])
    t.same(await statusLists.live(DAY + 1000), [first])
    t.same(await statusLists.live(DAY + 5000), [])
  })
})

t.test('statusLists.prune, of places that were taken one by one', async (t) => {
  t.test('deletes the lists whose tokens have all expired, with their bits, and none that takes new ones', async (t) => {
    const { place, store, statusLists, client } = await prepare(t)
    const revocations = revocationsRepository(store, withAudit(store))
    const first = await place(DAY + 1000, 0)
    const second = await place(DAY + 1000, DAY)
    for (const [i, place] of [first, second].entries()) await revocations.add(`token ${i}`, place.until, place)
    t.same([await statusLists.revoked(first.list), await statusLists.countRevoked(second.list)], [[first.index], 1])

    t.equal(await statusLists.prune(DAY + 999), 0)
    t.equal(await statusLists.prune(DAY + 1000), 1)
    t.same(client.prepare('select list from revoked_statuses').pluck().all(), [second.list])
    t.equal((await place(3 * DAY, DAY + 1000)).list, second.list)
    t.equal(await statusLists.prune(3 * DAY), 1)
    t.same(client.prepare('select id from status_lists').all(), [])
  })
})
