/** The time in which a process may say that a token is good without asking the database again. */
export interface Lease {
  /** Tells whether that time is not over. Costs 100 ns, and is asked for every token. */
  isValid: () => boolean
  /** Begins anew, from a moment before the database was asked. */
  renew: (asked: Moment) => void
  end: () => void
}

/** A moment by the clock that nobody sets, and by the one that goes on while a machine sleeps. */
export interface Moment { steady: number, wall: number }

export function moment (): Moment {
  return { steady: performance.now(), wall: Date.now() }
}

export function createLease (milliseconds: number): Lease {
  let until: Moment = { steady: -Infinity, wall: -Infinity }
  return {
    isValid: () => performance.now() < until.steady && Date.now() < until.wall,
    renew ({ steady, wall }) { until = { steady: steady + milliseconds, wall: wall + milliseconds } },
    end () { until = { steady: -Infinity, wall: -Infinity } }
  }
}
