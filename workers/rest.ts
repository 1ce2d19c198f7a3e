// How the hashing of passwords makes way for everything else: both sides of it, the event loop's and the thread's.
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const { eventLoopUtilization } = performance

/** From this share of its time on the event loop counts as busy, and from the second as wholly busy. */
const BUSY = 0.9
const WHOLLY_BUSY = 0.95
const MOST = 8

/** Longer than the burst in which a crowd of logins arrives: that alone makes nobody wait. */
const WINDOW_MILLISECONDS = 200

/** The longest rest, however dear a hash is. */
const LONGEST_MILLISECONDS = 500

/** How many times as long as it took to hash a password its thread rests afterwards. The threads read what the event loop writes. */
export type Rest = Int32Array<SharedArrayBuffer>

/** Gives a `Rest`, and a function that adapts it: from none while the event loop has time to eight while it has none. */
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

let last: Promise<unknown> = Promise.resolve()
let restsUntil = 0

/**
 * Runs `work` in a thread that has rested after what it did before, one after the other. What counts is processor
 * time, as waiting for a processor is rest.
 */
export function rested<T> (rest: Rest, work: () => T): Promise<T> {
  const result = last.then(() => afterRest(rest, work))
  last = result.catch(() => {})
  return result
}

async function afterRest<T> (rest: Rest, work: () => T): Promise<T> {
  const left = restsUntil - performance.now()
  if (left > 0) await sleep(left)
  const before = process.threadCpuUsage()
  try {
    return work()
  } finally {
    const { user, system } = process.threadCpuUsage(before)
    restsUntil = performance.now() + Math.min(Atomics.load(rest, 0) * (user + system) / 1000, LONGEST_MILLISECONDS)
  }
}
