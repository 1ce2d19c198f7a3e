/**
 * Lets one run of `work` be under way. The function that it gives resolves after a run that began after its call: whoever calls
 * meanwhile shares the next.
 */
export function oneAtATime<T> (work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined

  function run (): Promise<T> {
    if (!running) {
      running = work().finally(() => { running = undefined })
      return running
    }
    next ??= running.catch(() => {}).then(() => {
      next = undefined
      return run()
    })
    return next
  }

  return run
}

/** @throws `database_unavailable` when the work takes longer than these milliseconds */
export async function inTime (work: Promise<void>, milliseconds: number) {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const error = Object.assign(new Error('The database does not answer.'), { code: 'database_unavailable' })
    timer = setTimeout(reject, milliseconds, error)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
