import { createHash, randomBytes } from 'node:crypto'
import { and, desc, gt, lt, sql } from './drizzle.ts'
import { statusLists } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { StatusEntry } from './schema/index.ts'

const DAY_MILLISECONDS = 86_400_000
const HALF_BITS = 10
const HALF_MASK = (1 << HALF_BITS) - 1
const ROUNDS = 4
const ID_BYTES = 9
const SEED_BYTES = 16

/** The tokens that a list has room for: 2²⁰. A list takes new ones for a day, or until it is full. */
export const CAPACITY = 1 << (2 * HALF_BITS)

/** Gives out places in status lists, inside an operation. No place is given out twice. */
export function statusPlaces (connection: Connection) {
  const open = connection.select({ id: statusLists.id, seed: statusLists.seed }).from(statusLists)
    .where(and(gt(statusLists.closesAt, sql.placeholder('now')), lt(statusLists.issued, CAPACITY)))
    .orderBy(desc(statusLists.closesAt)).prepare()
  // Without Drizzle and without `returning`, for which SQLite makes a table each time, because every refresh pays for it.
  const count = connection.$client.prepare<[until: number, list: string, now: number]>(`update status_lists
    set issued = issued + 1, retires_at = max(retires_at, ?)
    where id = ? and closes_at > ? and issued < ${CAPACITY}`)
  const issuedIn = connection.$client.prepare<[list: string], number>('select issued from status_lists where id = ?').pluck()

  let current = { list: '', rounds: new Uint16Array() }

  /** Takes one more place of a list, and gives the number of those taken; undefined when the list takes no more. */
  function take (until: number, list: string, now: number): number | undefined {
    return count.run(until, list, now).changes === 1 ? issuedIn.get(list) : undefined
  }

  function addList (now: number) {
    const list = {
      id: randomBytes(ID_BYTES).toString('base64url'),
      seed: randomBytes(SEED_BYTES),
      issued: 0,
      closesAt: now + DAY_MILLISECONDS,
      retiresAt: 0
    }
    connection.insert(statusLists).values(list).run()
    return list
  }

  /** A place for a token that is issued `now` and expires at `until`. */
  return (until: number, now: number): StatusEntry => {
    let issued = take(until, current.list, now)
    if (issued === undefined) {
      const { id, seed } = open.get({ now }) ?? addList(now)
      current = { list: id, rounds: roundsOf(seed) }
      issued = take(until, id, now)! // it has room, and nobody else writes in this transaction
    }
    return { list: current.list, index: shuffled(issued - 1, current.rounds), until }
  }
}

/**
 * A permutation of all places, so that an index tells nothing about when its token was issued:
 * a Feistel network, which is one whatever its rounds look up.
 */
function shuffled (counter: number, rounds: Uint16Array): number {
  let left = counter >> HALF_BITS
  let right = counter & HALF_MASK
  for (let round = 0; round < ROUNDS; round++) {
    const mixed = rounds[(round << HALF_BITS) | right]! & HALF_MASK // there is one for each half of each round
    ;[left, right] = [right, left ^ mixed]
  }
  return (left << HALF_BITS) | right
}

/** The table of a list's permutation: for each round and each half, its image. */
function roundsOf (seed: Buffer): Uint16Array<ArrayBuffer> {
  const bytes = createHash('shake256', { outputLength: (ROUNDS << HALF_BITS) * Uint16Array.BYTES_PER_ELEMENT }).update(seed).digest()
  return Uint16Array.from({ length: ROUNDS << HALF_BITS }, (_, i) => bytes.readUInt16BE(i * Uint16Array.BYTES_PER_ELEMENT))
}
