import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'

const THREAD = fileURLToPath(new URL('checkpoint-thread.ts', import.meta.url))
const IDLE_MILLISECONDS = 60_000

/** Few enough for a short checkpoint: a commit that is made meanwhile waits for the same disk. */
const WRITES = 150

/**
 * Has a thread take what was committed from the -wal into the database file, so that the event loop need not wait while
 * that is done: after every 150 writes, or with the first write after a checkpoint that took longer. There are none for a
 * database in memory. `onError` is told of one that failed, or could not begin. By that nothing is lost: all of it is on
 * disk in the -wal, and goes with the next.
 */
export function createCheckpoints (file: string | undefined, onError: (error: Error) => void) {
  let thread: Piscina | undefined
  let writes = 0
  let underWay: Promise<void> | undefined

  async function checkpoint () {
    thread ??= createThread(onError)
    await thread.run(file)
  }

  return {
    /** Counts writes that are committed. Resolves when no checkpoint is under way. */
    async count (committed: number) {
      writes += committed
      if (file && !underWay && writes >= WRITES) {
        writes = 0
        underWay = checkpoint().catch(onError).finally(() => { underWay = undefined })
      }
      await underWay
    },

    /** Lets go of the file, after the checkpoint that is under way. */
    async close () {
      await underWay
      await thread?.destroy()
    }
  }
}

/** It starts when it is needed, ends when it is idle, and keeps no process alive. */
function createThread (onError: (error: Error) => void) {
  const thread = new Piscina({ filename: THREAD, execArgv: [], env: {}, minThreads: 0, maxThreads: 1, idleTimeout: IDLE_MILLISECONDS })
  return thread.on('error', (error) => {
    onError(error)
    thread.destroy() // which also rejects what waits for a thread that could not start
  })
}
