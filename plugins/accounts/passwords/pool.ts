import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))
const LOWEST_PRIORITY = 19
const IDLE_MILLISECONDS = 60_000

const pools = new Map<number, Piscina>()

/**
 * The pool of this many threads: one for the process, however many services it makes, because threads cost more to start
 * than a service does. They end when they are idle, and keep no process alive.
 */
export function poolOf (threads: number): Piscina {
  const pool = pools.get(threads) ?? new Piscina({
    filename: WORKER,
    execArgv: [], // what the process preloads is not for its threads, and would cost each of them its start
    env: {}, // nor are NODE_OPTIONS, for the same reason, nor secrets
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: IDLE_MILLISECONDS,
    niceIncrement: LOWEST_PRIORITY,
    stricterFIFO: true // else a task that finds no thread goes to the end of the queue
  })
  pools.set(threads, pool)
  return pool
}
