import { setTimeout as sleep } from 'node:timers/promises'
import { ROUNDS, figureOf, startService } from './harness.ts'

const SETTLE_MILLISECONDS = 2000

/** The time from the start to the first 200, and the memory of an idle service. */
export default async function start () {
  await (await startService()).stop() // fills the compile cache

  const milliseconds: number[] = []
  const memory: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const service = await startService()
    milliseconds.push(service.startMilliseconds)
    await sleep(SETTLE_MILLISECONDS)
    memory.push(service.memory())
    await service.stop()
  }
  return [figureOf('start to first 200 (ms)', milliseconds, '≤ 600'), figureOf('idle memory (MiB)', memory, '≤ 110')]
}
