import { setTimeout as sleep } from 'node:timers/promises'
import { ROUNDS, figureOf, inSittings, rates, ratios, startService } from './harness.ts'
import { inTurn, load, requestsWith } from './load.ts'
import { revoke, seed } from './seed.ts'

const COUNTS = [100_000, 1_000_000]
const TOKENS = 1000 // few, so that all are cached after a moment
const SETTLE_MILLISECONDS = 1000

/** The cost of many live revocations. */
export default async function revocations () {
  const none = await seedRevocations(0)
  const some: Array<Awaited<ReturnType<typeof seedRevocations>>> = []
  for (const count of COUNTS) some.push(await seedRevocations(count))
  const most = some.at(-1)!

  const starts: Array<Record<'seconds' | 'memory', number>> = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = await firstVerify(none)
    const after = await firstVerify(most)
    starts.push({ seconds: after.seconds - before.seconds, memory: after.memory - before.memory })
  }

  const results = await inSittings(async () => {
    const services = await Promise.all([none, ...some].map(({ folder }) => startService({ folder })))
    const verify = (i: number) => () => load({ of: services[i]!, next: [none, ...some][i]!.next })
    return { variants: { none: verify(0), many: verify(1), most: verify(2) }, stop: () => Promise.all(services.map(({ stop }) => stop())) }
  })

  const point = (x: number) => ({ chart: 'growth', name: 'verify, by live revocations', x })
  return [
    figureOf('GET /verify with no revocations (req/s)', rates(results.none)),
    figureOf('GET /verify with 1,000,000 live revocations (req/s)', rates(results.most)),
    figureOf('with 100,000 revocations ÷ with none', ratios(results.many, results.none, 'rate'), '', point(100_000)),
    figureOf('with 1,000,000 revocations ÷ with none', ratios(results.most, results.none, 'rate'), '≥ 0.9', point(1_000_000)),
    figureOf('memory for 1,000,000 revocations (MiB)', starts.map(({ memory }) => memory), '≤ 200'),
    figureOf('time to load 1,000,000 revocations (s)', starts.map(({ seconds }) => seconds), '≤ 2')
  ]
}

async function seedRevocations (count: number) {
  const { folder, sample } = await seed({ users: 10_000 })
  revoke(folder, count)
  return { folder, next: inTurn(requestsWith(sample.slice(0, TOKENS).map(({ accessToken }) => accessToken), '/verify')) }
}

/** The time from the start of a service to its first response that needs the revocations, and its memory then. */
async function firstVerify ({ folder, next }: Awaited<ReturnType<typeof seedRevocations>>) {
  const service = await startService({ folder })
  const { latencies: [milliseconds = NaN] } = await load({ of: service, next, connections: 1, seconds: 0 })
  await sleep(SETTLE_MILLISECONDS)
  const memory = service.memory()
  await service.stop()
  return { seconds: (service.startMilliseconds + milliseconds) / 1000, memory }
}
