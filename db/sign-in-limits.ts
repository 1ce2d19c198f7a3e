import { and, eq, gt, lte, sql } from './drizzle.ts'
import { guesses, knownPairs } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { KnownPair } from './schema/index.ts'
import type { Write } from './writer.ts'

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

export function signInLimitsRepository (connection: Connection, write: Write) {
  const key = sql.placeholder('key')
  const now = sql.placeholder('now')
  const found = connection.select().from(guesses).where(eq(guesses.key, key)).prepare()
  const put = connection.insert(guesses)
    .values({ key, forgottenAt: sql.placeholder('forgottenAt'), opensAt: sql.placeholder('opensAt') })
    .onConflictDoUpdate({
      target: guesses.key,
      set: { forgottenAt: sql`excluded.forgotten_at`, opensAt: sql`excluded.opens_at` }
    }).prepare()
  const isUnchanged = sql`${guesses.opensAt} = ${sql.placeholder('opensAt')}` // no later attempt closed it
  const undo = connection.update(guesses).set({
    forgottenAt: sql`${guesses.forgottenAt} - ${sql.placeholder('windowMilliseconds')}`,
    opensAt: sql`iif(${isUnchanged}, ${sql.placeholder('openedAt')}, ${guesses.opensAt})`
  }).where(eq(guesses.key, key)).prepare()
  const isKnown = connection.select({ key: knownPairs.key }).from(knownPairs)
    .where(and(eq(knownPairs.key, key), gt(knownPairs.until, now))).prepare()
  const know = connection.insert(knownPairs).values({ key, until: sql.placeholder('until') })
    .onConflictDoUpdate({ target: knownPairs.key, set: { until: sql`excluded.until` } }).prepare()
  const forgetAttempts = connection.delete(guesses).where(lte(guesses.forgottenAt, now)).prepare()
  const forgetPairs = connection.delete(knownPairs).where(lte(knownPairs.until, now)).prepare()

  function bucketsOf ({ pair, others, knownPair }: Buckets, time: number): State[] {
    return (isKnown.get({ key: knownPair, now: time }) ? [pair] : [pair, ...others]).map((bucket) => stateOf(bucket, time))
  }

  /** Times further ahead than any wait were written before the clock was set back: they close nothing. */
  function stateOf (bucket: Bucket, time: number): State {
    const { forgottenAt, opensAt } = found.get({ key: bucket.key }) ?? EMPTY
    return {
      ...bucket,
      forgottenAt: Math.min(forgottenAt, time + (bucket.max + MOST_BEYOND) * bucket.windowMilliseconds),
      opensAt: opensAt > time + bucket.windowMilliseconds ? EMPTY.opensAt : opensAt
    }
  }

  function count (state: State, time: number): Count {
    const { key, max, windowMilliseconds, opensAt: openedAt } = state
    const forgottenAt = Math.max(state.forgottenAt, time) + windowMilliseconds
    const beyond = Math.ceil((forgottenAt - time) / windowMilliseconds) - max
    const opensAt = beyond < 0 ? openedAt : time + Math.min(FIRST_WAIT_MILLISECONDS * 2 ** beyond, windowMilliseconds)
    put.run({ key, forgottenAt, opensAt })
    return { key, windowMilliseconds, opensAt, openedAt }
  }

  return {
    /**
     * Counts an attempt as wrong, before its password is checked: of any number at the same time, no more are let in than
     * one after the other would be. A refused attempt writes nothing.
     */
    async admit (buckets: Buckets, time: number): Promise<Attempt> {
      const closed = longestClosed(bucketsOf(buckets, time), time)
      if (closed) return { closed }

      return write((): Attempt => {
        const states = bucketsOf(buckets, time)
        const closed = longestClosed(states, time)
        return closed ? { closed } : { counts: states.map((state) => count(state, time)) }
      })
    },

    /** Takes back an attempt that was not wrong, and remembers the pair that was right. */
    forgive: (counts: Count[], pair?: KnownPair) => write(() => {
      for (const count of counts) undo.run(count)
      if (pair) know.run(pair)
    }),

    /** Forgets what has expired; gives the number of rows. */
    prune: (time: number) => write(() => forgetAttempts.run({ now: time }).changes + forgetPairs.run({ now: time }).changes)
  }
}

function longestClosed (states: State[], time: number): State | undefined {
  return states.filter(({ opensAt }) => opensAt > time).toSorted((a, b) => b.opensAt - a.opensAt)[0]
}
