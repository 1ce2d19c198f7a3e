import type { Database } from 'better-sqlite3'

const PATIENCE_MILLISECONDS = 1000
const RETRY_MILLISECONDS = 10

interface Deed {
  run: () => unknown
  isSynced: boolean
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

/** Is told of every commit: how many milliseconds it took, and how many deeds shared it. */
export type CommitObserver = (milliseconds: number, deeds: number) => void

export type Write = <T>(run: () => T) => Promise<T>

/**
 * Runs what writes. The deeds of one turn of the event loop share one commit, and none is answered before
 * that commit is on disk. When one throws, all are undone and run once more, each in a savepoint, so that it takes
 * nothing of the others with it: a deed must bear to run twice.
 *
 * While another process holds the write lock the deeds wait without blocking the event loop, for a second at
 * the most. Then they, and all when the commit fails, are rejected with SQLite's own error (`code: 'SQLITE_…'`).
 */
export function createWriter (client: Database, assertInPlace: () => void) {
  let waiting: Deed[] = []
  let waitingSince = 0
  let commits = 0
  let observe: CommitObserver | undefined

  const dataVersion = client.prepare<[], number>('pragma data_version').pluck()
  let othersRevision = 0
  let isAskedThisTurn = false

  const runAll = client.transaction((deeds: Deed[]) => deeds.map((deed) => {
    const value = deed.run()
    return () => deed.resolve(value)
  }))

  const attempt = client.transaction((deed: Deed) => deed.run())
  const runEach = client.transaction((deeds: Deed[]) => deeds.map((deed) => {
    try {
      const value = attempt(deed)
      return () => deed.resolve(value)
    } catch (error) {
      if (!client.inTransaction) throw error // SQLite gave up the whole transaction: nothing of it happened
      return () => deed.reject(error)
    }
  }))

  function commitAll (deeds: Deed[]) {
    try {
      return runAll.immediate(deeds)
    } catch (error) {
      if (isBusy(error)) throw error
      return runEach.immediate(deeds)
    }
  }

  /** What nothing of must outlive a power cut is not worth a wait for the disk. */
  function commitSynced (deeds: Deed[]) {
    if (deeds.some(({ isSynced }) => isSynced)) return commitAll(deeds)
    client.pragma('synchronous = NORMAL')
    try {
      return commitAll(deeds)
    } finally {
      client.pragma('synchronous = FULL')
    }
  }

  function commit () {
    const deeds = waiting
    let answers: Array<() => void>
    try {
      assertInPlace()
      const begun = observe ? performance.now() : 0
      commits++ // before, because whatever fails after it has happened must not hide it
      answers = commitSynced(deeds)
      observe?.(performance.now() - begun, deeds.length)
    } catch (error) {
      if (isBusy(error) && Date.now() - waitingSince < PATIENCE_MILLISECONDS) {
        setTimeout(commit, RETRY_MILLISECONDS)
        return
      }
      answers = deeds.map((deed) => () => deed.reject(error))
    }
    waiting = []
    for (const answer of answers) answer()
  }

  const writer = (isSynced: boolean): Write => (run) => new Promise((resolve, reject) => {
    // The promise gives back what `run` returned: the queue alone forgets its type.
    waiting.push({ run, isSynced, resolve: resolve as Deed['resolve'], reject })
    if (waiting.length > 1) return
    waitingSince = Date.now()
    setImmediate(commit)
  })

  return {
    write: writer(true),

    /**
     * The same for counts: they outlive the process, but the last of them not always a power cut. A turn in which
     * nothing else is written does not wait for the disk.
     */
    writeUnsynced: writer(false),

    /** Who measures commits from now on; nothing is measured until then. */
    observeCommits (observer: CommitObserver) {
      observe = observer
    },

    /**
     * A number that grows whenever something was written: by this process, which counts its commits, or by another. SQLite
     * tells of others (`data_version`), and is asked once in each turn of the event loop: their news can reach a request
     * only in a later one.
     */
    revision () {
      if (!isAskedThisTurn) {
        othersRevision = dataVersion.get()!
        isAskedThisTurn = true
        setImmediate(() => { isAskedThisTurn = false })
      }
      return commits + othersRevision
    }
  }
}

function isBusy (error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}
