import { change, execute, query, queryOne } from './engine.ts'
import { signInLimitStatements } from './sign-in-limit-statements.ts'
import type { Operation, Write } from './engine.ts'
import type { Guesses, KnownPair } from './schema/index.ts'
import type { Store } from './store.ts'

const FIRST_WAIT_MILLISECONDS = 1000
/** More wrong passwords over the limit than anybody can send: the longest wait comes long before. */
const MOST_BEYOND = 20
const EMPTY = { forgottenAt: 0, opensAt: 0 }

/** A counter of wrong passwords, and its limit. */
export interface Bucket {
  key: string
  /** After so many the next has to wait: a second, then twice as long each time. */
  max: number
  /** The longest wait, and the time in which one wrong password is forgotten. */
  windowMilliseconds: number
}

/**
 * The buckets of an attempt. An address that has signed in to the account before is counted by the pair alone: strangers
 * cannot close it.
 */
export interface Buckets {
  pair: Bucket
  others: Bucket[]
  /** The key under which the address is known to have signed in to the account. */
  knownPair: string
}

type State = Bucket & typeof EMPTY

/** The change that one attempt made in a bucket. */
type Count = Pick<State, 'key' | 'windowMilliseconds' | 'opensAt'> & { openedAt: number }

/** An attempt is counted in each of its buckets, or refused by the one that stays closed the longest. */
export type Attempt = { counts: Count[] } | { closed: State }

export function signInLimitsRepository (store: Store, write: Write) {
  const { read } = store
  const statements = signInLimitStatements(store)

  /** The buckets of an attempt: those of the pair alone, when the address has signed in to the account before. */
  function relevant ({ pair, others }: Buckets, isKnown: boolean): Bucket[] {
    return (isKnown ? [pair] : [pair, ...others]).toSorted((a, b) => a.key < b.key ? -1 : 1) // the order in which rows are locked
  }

  function * count (state: State, time: number): Operation<Count> {
    const { key, max, windowMilliseconds, opensAt: openedAt } = state
    const forgottenAt = Math.max(state.forgottenAt, time) + windowMilliseconds
    const beyond = Math.ceil((forgottenAt - time) / windowMilliseconds) - max
    const opensAt = beyond < 0 ? openedAt : time + Math.min(FIRST_WAIT_MILLISECONDS * 2 ** beyond, windowMilliseconds)
    yield * execute(statements.put, { key, forgottenAt, opensAt })
    return { key, windowMilliseconds, opensAt, openedAt }
  }

  /** Looks without a lock, so that a refused flood writes nothing. */
  async function findClosed (buckets: Buckets, time: number): Promise<State | undefined> {
    const [known] = await read(statements.isKnown, { key: buckets.knownPair, now: time })
    const relevantBuckets = relevant(buckets, known !== undefined)
    const rows = await read(statements.find, toKeys(relevantBuckets))
    return longestClosed(statesOf(relevantBuckets, rows, time), time)
  }

  function * admit (buckets: Buckets, time: number): Operation<Attempt> {
    const known = yield * queryOne(statements.isKnown, { key: buckets.knownPair, now: time })
    const relevantBuckets = relevant(buckets, known !== undefined)
    for (const { key } of relevantBuckets) yield * execute(statements.addEmpty, { key, ...EMPTY })
    const states = statesOf(relevantBuckets, yield * query(statements.lock, toKeys(relevantBuckets)), time)
    const closed = longestClosed(states, time)
    if (closed) return { closed }
    const counts = []
    for (const state of states) counts.push(yield * count(state, time))
    return { counts }
  }

  return {
    /**
     * Counts an attempt as wrong, before its password is checked: of any number at the same time, no more are let in than
     * one after the other would be. A refused attempt writes nothing.
     */
    async admit (buckets: Buckets, time: number): Promise<Attempt> {
      const closed = await findClosed(buckets, time)
      return closed ? { closed } : write(() => admit(buckets, time))
    },

    /** Takes back an attempt that was not wrong, and remembers the pair that was right. */
    forgive: (counts: Count[], pair?: KnownPair) => write(function * () {
      for (const count of counts) yield * execute(statements.undo, { ...count })
      if (pair) yield * execute(statements.know, { ...pair })
    }),

    /** Forgets what has expired; gives the number of rows. */
    prune: (now: number) => write(function * () {
      return (yield * change(statements.forgetAttempts, { now })) + (yield * change(statements.forgetPairs, { now }))
    })
  }
}

/** One bucket, three, or five of an IPv6 address, which is in three networks: what is missing repeats the first. */
function toKeys (buckets: Bucket[]) {
  const [a = '', b = a, c = a, d = a, e = a] = buckets.map(({ key }) => key)
  return { a, b, c, d, e }
}

/** Times further ahead than any wait were written before the clock was set back: they close nothing. */
function statesOf (buckets: Bucket[], rows: Guesses[], time: number): State[] {
  return buckets.map((bucket) => {
    const { forgottenAt, opensAt } = rows.find(({ key }) => key === bucket.key) ?? EMPTY
    return {
      ...bucket,
      forgottenAt: Math.min(forgottenAt, time + (bucket.max + MOST_BEYOND) * bucket.windowMilliseconds),
      opensAt: opensAt > time + bucket.windowMilliseconds ? EMPTY.opensAt : opensAt
    }
  })
}

function longestClosed (states: State[], time: number): State | undefined {
  return states.filter(({ opensAt }) => opensAt > time).toSorted((a, b) => b.opensAt - a.opensAt)[0]
}
