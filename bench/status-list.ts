import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROUNDS, figureOf, newFolder, onDatabase } from './harness.ts'
import { fillStatusList } from './seed.ts'

const TOKENS = 1_000_000
const REVOKED = 1000
const HOUR_MILLISECONDS = 3_600_000

/** A status list of 1,000,000 tokens, one in a thousand revoked: its size, and the cost of making it again after one more revocation. */
export default async function statusList () {
  const folder = newFolder()
  await onDatabase(folder, async () => {}) // makes the tables and the keys
  const list = fillStatusList(folder, TOKENS, REVOKED)

  const bytes: number[] = []
  const milliseconds: number[] = []
  const stalls: number[] = []
  await onDatabase(folder, async ({ db, statusLists }) => {
    for (let round = -1; round < ROUNDS; round++) {
      const until = Date.now() + HOUR_MILLISECONDS
      await db.revocations.add(`another-${round}`, until, { list, index: TOKENS + round + 1, until })

      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      await sleep(20)
      delay.reset()
      const startedAt = performance.now()
      const built = await statusLists.token(list)
      const took = performance.now() - startedAt
      await sleep(20)
      if (round < 0) continue // the first warms up
      bytes.push(built?.length ?? NaN)
      milliseconds.push(took)
      stalls.push(delay.max / 1e6)
    }
  })

  return [
    figureOf('status list of 1,000,000 tokens, 0.1 % revoked (bytes)', bytes, '≤ 5000'),
    figureOf('time to make it (ms)', milliseconds, '≤ 50'),
    figureOf('longest that it held up anything else (ms)', stalls)
  ]
}
