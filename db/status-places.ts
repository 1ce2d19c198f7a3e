import { createHash, randomBytes } from 'node:crypto'
import { and, desc, eq, gt, lt, sql } from './drizzle.ts'
import { execute, queryOne } from './engine.ts'
import type { Operation } from './engine.ts'
import type { StatusEntry } from './schema/index.ts'
import type { Store } from './store.ts'

const DAY_MILLISECONDS = 86_400_000
const HALF_BITS = 10
const HALF_MASK = (1 << HALF_BITS) - 1
const ROUNDS = 4
const ID_BYTES = 9
const SEED_BYTES = 16

/** The tokens that a list has room for: 2²⁰. A list takes new ones for a day, or until it is full. */
export const CAPACITY = 1 << (2 * HALF_BITS)

/** Places that one process takes at a time, and gives out from memory. A crash loses the rest of them: a thousandth of a list. */
const BLOCK = 1024

interface Block {
  list: string
  rounds: Uint16Array
  /** The next place, and the one after the last. */
  next: number
  end: number
  /** The times until which places are given out, and until which their tokens may live. */
  closesAt: number
  retiresAt: number
}

/** A place for a token that is issued `now` and expires at `until`, inside an operation. */
export type PlaceFor = (until: number, now: number) => Operation<StatusEntry>

/**
 * Gives out places in status lists, inside an operation. No place is given out twice: a block is taken by a write of its own,
 * and only used when that has happened, because an operation that takes one for itself may be undone.
 */
export function statusPlaces ({ build, compile, lockHead, tables: { statusLists }, write }: Store): PlaceFor {
  const isOpen = and(gt(statusLists.closesAt, sql.placeholder('now')), lt(statusLists.issued, CAPACITY))
  const open = compile(build.select().from(statusLists).where(isOpen).orderBy(desc(statusLists.closesAt)))
  const [retiresAt, issued] = [sql.placeholder('retiresAt'), sql.placeholder('issued')]
  const count = compile(build.update(statusLists).set({
    issued: sql`${issued}`,
    retiresAt: sql`case when ${statusLists.retiresAt} < ${retiresAt} then ${retiresAt} else ${statusLists.retiresAt} end`
  }).where(eq(statusLists.id, sql.placeholder('id'))))
  let block: Block | undefined
  let last = { list: '', rounds: new Uint16Array() }
  let isTaking = false

  function * addList (now: number) {
    const id = randomBytes(ID_BYTES).toString('base64url')
    const list = { id, seed: randomBytes(SEED_BYTES), issued: 0, closesAt: now + DAY_MILLISECONDS, retiresAt: 0 }
    yield * execute(compile(build.insert(statusLists).values(list)), {})
    return list
  }

  /** Takes up to `most` places of the list that is open. One process does at a time. */
  function * take (most: number, now: number, retiresAt: (closesAt: number) => number): Operation<Block> {
    yield * lockHead('status')
    const { id: list, seed, issued, closesAt } = (yield * queryOne(open, { now })) ?? (yield * addList(now))
    const end = Math.min(issued + most, CAPACITY)
    yield * execute(count, { id: list, issued: end, retiresAt: retiresAt(closesAt) })
    if (last.list !== list) last = { list, rounds: roundsOf(seed) }
    return { ...last, next: issued, end, closesAt, retiresAt: retiresAt(closesAt) }
  }

  async function takeBlock (lifetime: number, now: number) {
    isTaking = true
    try {
      await undefined // the operation under way ends first
      block = await write(() => take(BLOCK, now, (closesAt) => closesAt + lifetime))
    } catch {
      block = undefined // the next place asks again
    } finally {
      isTaking = false
    }
  }

  function place ({ list, rounds, next }: Block, until: number): StatusEntry {
    return { list, index: shuffled(next, rounds), until }
  }

  return function * (until, now) {
    const isUsable = block && block.next < block.end && now < block.closesAt && until <= block.retiresAt
    if (!block || !isUsable) {
      if (!isTaking) takeBlock(until - now, now)
      return place(yield * take(1, now, () => until), until)
    }
    return place({ ...block, next: block.next++ }, until)
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
