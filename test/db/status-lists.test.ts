import fc from 'fast-check'
import t from 'tap'
import { connect } from '../../db/connection.ts'
import { fileOf, openDatabase } from '../../db/index.ts'
import { statusPlaces } from '../../db/status-places.ts'
import { databaseUrl } from '../helper.ts'
import type { Test } from 'tap'

const DAY = 86_400_000
const CAPACITY = 2 ** 20

/** Repositories, the function that gives out places, and another connection to the file. */
async function prepare (t: Test) {
  const url = databaseUrl(t)
  const database = await openDatabase(url)
  const { client, connection } = connect(fileOf(url))
  client.pragma('foreign_keys = ON')
  client.pragma('synchronous = OFF')
  t.teardown(() => database.close())
  t.teardown(() => client.close())
  return { ...database, connection, client, placeFor: statusPlaces(connection) }
}

t.test('A place in a status list', async (t) => {
  t.test('is given out once, among many in a row', async (t) => {
    const { placeFor, client, statusLists } = await prepare(t)
    const takeMany = client.transaction(() => Array.from({ length: 20_000 }, () => placeFor(1000, 0).index))

    const places = takeMany()

    t.equal(new Set(places).size, places.length)
    t.ok(places.every((index) => Number.isInteger(index) && index >= 0 && index < CAPACITY))
    t.equal(statusLists.capacity, CAPACITY)
  })

  t.test('is given out once, for any seed and anywhere in the list', async (t) => {
    const { placeFor, connection, client } = await prepare(t)
    const { list } = placeFor(1000, 0)
    const place = client.prepare('update status_lists set issued = ?, seed = ? where id = ?')
    const counters = fc.uniqueArray(fc.integer({ min: 0, max: CAPACITY - 1 }), { minLength: 100, maxLength: 200 })

    fc.assert(fc.property(counters, fc.uint8Array({ minLength: 16, maxLength: 16 }), (counters, seed) => {
      const seededPlaceFor = statusPlaces(connection) // it reads the seed of a list once
      const takeEach = client.transaction(() => counters.map((counter) => {
        place.run(counter, Buffer.from(seed), list)
        return seededPlaceFor(1000, 0).index
      }))
      return new Set(takeEach()).size === counters.length
    }), { numRuns: 20 })
  })

  t.test('does not reveal when its token was issued', async (t) => {
    const { placeFor, client } = await prepare(t)
    const indexes = client.transaction(() => Array.from({ length: 1000 }, () => placeFor(1000, 0).index))()

    const ascents = indexes.filter((index, i) => i > 0 && index > indexes[i - 1]!).length

    t.ok(ascents > 350 && ascents < 650, `${ascents} of 999 are greater than the one before`)
  })

  t.test('is in another list once the list is full', async (t) => {
    const { placeFor, client } = await prepare(t)
    const { list } = placeFor(1000, 0)
    client.prepare('update status_lists set issued = ?').run(CAPACITY - 1)

    const [last, next, one] = [placeFor(1000, 0), placeFor(1000, 0), placeFor(1000, 0)]

    t.equal(last.list, list)
    t.not(next.list, list)
    t.equal(one.list, next.list)
  })

  t.test('is in another list after a day', async (t) => {
    const { placeFor } = await prepare(t)

    const lists = [0, DAY - 1, DAY, 2 * DAY - 1].map((now) => placeFor(now + 1000, now).list)

    t.equal(lists[1], lists[0])
    t.not(lists[2], lists[1])
    t.equal(lists[3], lists[2])
  })
})

t.test('statusLists.live', async (t) => {
  t.test('gives the lists in which a token may still be good, the oldest first', async (t) => {
    const { placeFor, statusLists } = await prepare(t)
    const { list: first } = placeFor(DAY + 5000, 0)
    placeFor(1000, 0)
    const { list: second } = placeFor(DAY + 1000, DAY)

    t.same(await statusLists.live(DAY + 999), [first, second])
    t.same(await statusLists.live(DAY + 1000), [first])
    t.same(await statusLists.live(DAY + 5000), [])
  })
})

t.test('statusLists.prune', async (t) => {
  t.test('deletes the lists whose tokens have all expired, with their bits, and none that takes new ones', async (t) => {
    const { placeFor, statusLists, revocations, client } = await prepare(t)
    const first = placeFor(DAY + 1000, 0)
    const second = placeFor(DAY + 1000, DAY)
    for (const [i, place] of [first, second].entries()) await revocations.add(`token ${i}`, place.until, place)
    t.same([await statusLists.revoked(first.list), await statusLists.countRevoked(second.list)], [[first.index], 1])

    t.equal(await statusLists.prune(DAY + 999), 0)
    t.equal(await statusLists.prune(DAY + 1000), 1)
    t.same(client.prepare('select list from revoked_statuses').pluck().all(), [second.list])
    t.equal(placeFor(3 * DAY, DAY + 1000).list, second.list)
    t.equal(await statusLists.prune(3 * DAY), 1)
    t.same(client.prepare('select id from status_lists').all(), [])
  })
})
