import { setTimeout as delay } from 'node:timers/promises'
import { oneAtATime } from './one-at-a-time.ts'
import { others, removeSilent } from './sync.ts'
import type { NewsEvent } from '../news-events.ts'
import type { Channel } from './channel.ts'

const LOOK_MILLISECONDS = 2
const REMOVE_MILLISECONDS = 100

/** Clocks of two machines may go at rates that differ by a tenth. */
const MARGIN = 1.1

/** An instance as it was seen last, and since when it has said nothing. */
interface Silence { beat: number, since: number }

interface SettlingOptions {
  id: string
  leaseMilliseconds: number
  channel: Channel
  sync: () => Promise<void>
  /** The head that the last sync showed. */
  head: () => number
  onEvent: (event: NewsEvent) => void
}

/**
 * Waits after a revocation until every other instance has said that it knows, or for a whole lease: then whoever has not said
 * so has no lease any more. Instances that have been silent for a lease are removed, so that only the revocations of one lease
 * wait for them.
 */
export function createSettling ({ id, leaseMilliseconds, channel, sync, head, onEvent }: SettlingOptions) {
  const silences = new Map<string, Silence>()
  let longestLease = leaseMilliseconds // of all instances: while a setting changes they may differ
  let distrustsUntil = -Infinity

  const whole = () => longestLease * MARGIN

  /** Asks who knows what, and gives the number that all others know. */
  async function look (): Promise<number> {
    const rows = await channel.send(others, [id])
    const now = performance.now()
    longestLease = Math.max(longestLease, ...rows.map(([, , , lease]) => lease))
    for (const name of [...silences.keys()]) if (!rows.some(([id]) => id === name)) silences.delete(name)
    for (const [name, beat, known] of rows) {
      const silence = silences.get(name)
      if (known >= head()) silences.delete(name)
      else if (silence?.beat !== beat) silences.set(name, { beat, since: now })
      else if (now - silence.since > whole()) await channel.send(removeSilent, [name, beat])
    }
    return Math.min(Infinity, ...rows.map(([, , known]) => known))
  }

  /** Many that wait share an answer. */
  const lookOnce = oneAtATime(look)

  /** True as soon as all others know; false when a lease is over, or the database does not answer. */
  async function isKnown (number: number, committed: number): Promise<boolean> {
    while (performance.now() < committed + whole()) {
      if (await lookOnce() >= number) return true
      await delay(LOOK_MILLISECONDS)
    }
    return false
  }

  async function outcomeOf (number: number, committed: number): Promise<'known' | 'lapsed' | 'waited'> {
    try {
      await sync()
      if (head() < number) { // this connection is to another server, which does not have it: an older primary
        channel.drop()
        return 'waited'
      }
      const known = await isKnown(number, committed)
      if (performance.now() < distrustsUntil) return 'waited'
      return known ? 'known' : 'lapsed'
    } catch {
      return 'waited'
    }
  }

  return {
    /** The registry may have forgotten somebody: for one lease its answers are not believed, and every revocation waits. */
    distrust () { distrustsUntil = performance.now() + whole() },

    async settle (number: number) {
      const committed = performance.now()
      const outcome = await outcomeOf(number, committed)
      const left = committed + whole() - performance.now()
      if (outcome === 'waited' && left > 0) await delay(left)
      if (outcome === 'lapsed') setTimeout(() => lookOnce().catch(() => {}), REMOVE_MILLISECONDS).unref() // who was silent is removed
      onEvent({ kind: 'settled', milliseconds: performance.now() - committed, outcome })
    }
  }
}
