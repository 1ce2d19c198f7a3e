// How the hashing of passwords makes way for everything else: both sides of it, the event loop's and the thread's.
import { performance } from 'node:perf_hooks'

const { eventLoopUtilization } = performance

/** The event loop is busy from this share of its time on, and wholly from the second one. */
const BUSY = 0.9
const WHOLLY_BUSY = 0.95
const MOST = 5

/** A window longer than the burst in which a crowd of logins arrives: that alone makes nobody wait. */
const WINDOW_MILLISECONDS = 200

/** How many times as long as it took to hash a password its thread rests afterwards. The threads read what the event loop writes. */
export type Rest = Int32Array<SharedArrayBuffer>

/**
 * Gives a `Rest`, and what adapts it to be called after each hash: from none while the event loop has time to five
 * while it has none.
 */
export function restWhileBusy () {
  const rest: Rest = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  let last = eventLoopUtilization()

  function adapt () {
    const { active, idle, utilization } = eventLoopUtilization(last)
    if (active + idle < WINDOW_MILLISECONDS) return
    last = eventLoopUtilization()
    const share = (utilization - BUSY) / (WHOLLY_BUSY - BUSY)
    Atomics.store(rest, 0, Math.round(MOST * Math.min(Math.max(share, 0), 1)))
  }

  return { rest, adapt }
}

const untouched = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
let restsUntil = 0

/** Runs `work` in a thread that has rested after what it did before. What counts is processor time, as waiting for a processor is rest. */
export function rested<T> (rest: Rest, work: () => T): T {
  Atomics.wait(untouched, 0, 0, Math.max(0, restsUntil - performance.now()))
  const before = process.threadCpuUsage()
  try {
    return work()
  } finally {
    const { user, system } = process.threadCpuUsage(before)
    restsUntil = performance.now() + Atomics.load(rest, 0) * (user + system) / 1000
  }
}
