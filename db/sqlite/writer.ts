import type { Database } from 'better-sqlite3'

const PATIENCE_MILLISECONDS = 1000
const RETRY_MILLISECONDS = 10

interface Operation {
  run: () => unknown
  isSynced: boolean
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

/** Called after every commit, with its milliseconds and the number of operations that shared it. */
export type CommitObserver = (milliseconds: number, operations: number) => void

export type Write = <T>(run: () => T) => Promise<T>

/**
 * Runs operations. Those of one turn of the event loop share one commit, and none is answered before that commit is on
 * disk. When one throws, all are undone and run once more, each in a savepoint, so that it takes nothing of the others
 * with it: an operation must tolerate being run twice.
 *
 * While another process holds the write lock the operations wait without blocking the event loop, for a second at
 * most. Then they are rejected, as all are when the commit fails, with SQLite's own error (`code: 'SQLITE_…'`).
 */
export function createWriter (client: Database, assertInPlace: () => void) {
  let waiting: Operation[] = []
  let waitingSince = 0
  let commits = 0
  let observe: CommitObserver | undefined

  const { nodeTiming } = performance
  const dataVersion = client.prepare<[], number>('pragma data_version').pluck()
  let othersRevision = 0
  let lastTurn = -1

  const runAll = client.transaction((operations: Operation[]) => operations.map((operation) => {
    const value = operation.run()
    return () => operation.resolve(value)
  }))

  const attempt = client.transaction((operation: Operation) => operation.run())
  const runEach = client.transaction((operations: Operation[]) => operations.map((operation) => {
    try {
      const value = attempt(operation)
      return () => operation.resolve(value)
    } catch (error) {
      if (!client.inTransaction) throw error // SQLite gave up the whole transaction: nothing of it happened
      return () => operation.reject(error)
    }
  }))

  function commitAll (operations: Operation[]) {
    try {
      return runAll.immediate(operations)
    } catch (error) {
      if (isBusy(error)) throw error
      return runEach.immediate(operations)
    }
  }

  /** Operations that need not survive a power cut do not wait for the disk. */
  function commitSynced (operations: Operation[]) {
    if (operations.some(({ isSynced }) => isSynced)) return commitAll(operations)
    client.pragma('synchronous = NORMAL')
    try {
      return commitAll(operations)
    } finally {
      client.pragma('synchronous = FULL')
    }
  }

  function commit () {
    const operations = waiting
    let answers: Array<() => void>
    try {
      assertInPlace()
      const begun = observe ? performance.now() : 0
      commits++ // before, because whatever fails after it has happened must not hide it
      answers = commitSynced(operations)
      observe?.(performance.now() - begun, operations.length)
    } catch (error) {
      if (isBusy(error) && performance.now() - waitingSince < PATIENCE_MILLISECONDS) {
        setTimeout(commit, RETRY_MILLISECONDS)
        return
      }
      answers = operations.map((operation) => () => operation.reject(error))
    }
    waiting = []
    for (const answer of answers) answer()
  }

  const writer = (isSynced: boolean): Write => (run) => new Promise((resolve, reject) => {
    // The promise gives back what `run` returned: the queue alone forgets its type.
    waiting.push({ run, isSynced, resolve: resolve as Operation['resolve'], reject })
    if (waiting.length > 1) return
    waitingSince = performance.now()
    setImmediate(commit)
  })

  return {
    write: writer(true),

    /**
     * The same for counters: they survive the process, but the last of them not always a power cut. A turn in which
     * nothing else is written does not wait for the disk.
     */
    writeUnsynced: writer(false),

    /** Measures commits from now on. */
    observeCommits (observer: CommitObserver) {
      observe = observer
    },

    /**
     * A number that grows whenever something was written: by this process, which counts its commits, or by another. SQLite
     * tells of others (`data_version`), and is asked once in each turn of the event loop, because asking for every request
     * would take a tenth of its throughput. A request that is handled in a turn had arrived before that turn's question.
     * Whoever waited for others in the turn asks again.
     */
    revision (asksAgain = false) {
      const turn = nodeTiming.uvMetricsInfo.loopCount // a flag that setImmediate clears would outlive a turn's end
      if (asksAgain || turn !== lastTurn) othersRevision = dataVersion.get()!
      lastTurn = turn
      return commits + othersRevision
    }
  }
}

function isBusy (error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}
