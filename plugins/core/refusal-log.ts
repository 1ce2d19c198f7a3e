import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from './clock.ts'

/** Lines a second for one code. Anybody can have requests refused, as many as the service answers, and a line is 250 bytes. */
const MOST_LINES = 100

/** Bounds what refusals write into the log. What was left out is counted, and the counts are logged once a second at most. */
export function createRefusalLog (log: FastifyBaseLogger, now: Clock) {
  const counts = new Map<string, number>()
  let second = 0

  /** Logs how many lines were left out, by their codes, since this was called last. */
  function flush () {
    const surplus = [...counts].filter(([, count]) => count > MOST_LINES).map(([code, count]) => [code, count - MOST_LINES])
    counts.clear()
    if (surplus.length === 0) return
    log.warn({ event: 'refusals_not_logged', counts: Object.fromEntries(surplus) }, 'more refusals than the log takes in a second')
  }

  /** Tells whether there is room for one more line about a refusal of this code. */
  function hasRoom (code: string): boolean {
    const current = Math.floor(now() / 1000)
    if (current !== second) flush()
    second = current
    const count = (counts.get(code) ?? 0) + 1
    counts.set(code, count)
    return count <= MOST_LINES
  }

  return { hasRoom, flush }
}
