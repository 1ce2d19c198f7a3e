/** The time in milliseconds since 1970. */
export type Clock = () => number

const FASTEST = 2
const DAY_MILLISECONDS = 86_400_000

interface Following {
  now: Clock
  uptime: Clock
  /** The time at the beginning. */
  from: number
  /** The least share of the time that passes by which this advances, though the clock was set back. */
  slowest: number
}

/**
 * A clock that follows another, which may be set ahead and back. It advances at most twice as fast as time passes: it comes
 * through a jump of some minutes almost as if there had been none, and yet catches up with one that was right. A difference
 * that lasts for a day is believed.
 */
export function followClock ({ now, uptime, from, slowest }: Following): Clock {
  let time = from
  let lastAskedAt = uptime()
  let differsSince: number | undefined

  return () => {
    const askedAt = uptime()
    const passed = askedAt - lastAskedAt
    const goal = now()
    const next = Math.min(Math.max(goal, time + passed * slowest), time + passed * FASTEST)
    differsSince = next === goal ? undefined : differsSince ?? askedAt
    time = askedAt - (differsSince ?? askedAt) > DAY_MILLISECONDS ? goal : next
    lastAskedAt = askedAt
    return Math.round(time)
  }
}
