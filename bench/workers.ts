import { MANY_ROUNDS, figureOf, interleaved, rates, ratios, startService } from './harness.ts'
import { inTurn, load, requestsWith } from './load.ts'
import { seed } from './seed.ts'

const TOKENS = 1000 // few, so that all are cached after a moment

/** The gain of a second process. The load generator shares the processors with it here, so the real gain is larger. */
export default async function workers () {
  const { folder, sample } = await seed({ users: 10_000 })
  const single = await startService({ folder })
  const double = await startService({ folder, env: { WORKERS: '2' } })
  const next = inTurn(requestsWith(sample.slice(0, TOKENS).map(({ accessToken }) => accessToken), '/verify'))

  const { one, two } = await interleaved({
    one: () => load({ of: single, next }),
    two: () => load({ of: double, next })
  }, MANY_ROUNDS)
  await Promise.all([single.stop(), double.stop()])

  return [
    figureOf('GET /verify, WORKERS=2 (req/s)', rates(two)),
    figureOf('WORKERS=2 ÷ WORKERS=1', ratios(two, one, 'rate'))
  ]
}
