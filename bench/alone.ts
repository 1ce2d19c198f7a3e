/** Measures calls of `run` per second in this process, without HTTP. */
export function alone (run: () => void, seconds = 0.2): { rate: number } {
  const startedAt = performance.now()
  let count = 0
  let elapsed = 0
  do {
    run()
    count++
    elapsed = performance.now() - startedAt
  } while (elapsed < seconds * 1000)
  return { rate: count / elapsed * 1000 }
}
