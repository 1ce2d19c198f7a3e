import { ROUNDS, figureOf, interleaved, percentile } from './harness.ts'
import { startInstances } from './postgres-instances.ts'
import type { Figure } from './harness.ts'
import type { Copy } from './postgres-copy.ts'
import type { Instances, Logouts } from './postgres-instances.ts'
import type { Seeds } from './seed.ts'

const INSTANCES = 3
const CHECKS = 20_000
const AT_ONCE = 32
const WARM_UPS = 1

/** In a round: so many one at a time, and as many 32 at once. */
const LOGOUTS = Math.ceil(CHECKS / INSTANCES / ROUNDS / 2)

/** Each ends with its logout. */
export const SESSIONS = 2 * LOGOUTS * (ROUNDS + WARM_UPS)

/** Logouts at one instance and at three, and what every instance says to the token right after the answer. */
export async function logoutFigures ({ sample }: Seeds, copy: Copy) {
  const second = await copy.again()
  const alone = await startInstances(1, second, sample)
  const three = await startInstances(INSTANCES, copy.env, sample)

  const results = await interleaved({
    singly: () => alternate(alone, three),
    aloneAtOnce: () => logOutAtOnce(alone),
    threeAtOnce: () => logOutAtOnce(three)
  }, ROUNDS, WARM_UPS)
  await Promise.all([alone.stop(), three.stop()])

  const [aloneSingly, threeSingly] = [results.singly.map(({ alone }) => alone), results.singly.map(({ three }) => three)]
  const statuses = [...threeSingly, ...results.threeAtOnce].flatMap(({ statuses }) => statuses)
  const checks = `${statuses.length} checks at ${INSTANCES} instances`
  const count = (isCounted: (status: number) => boolean) => [statuses.filter(isCounted).length]
  return [
    ...latencyFigures('one at a time', aloneSingly, threeSingly, ['≤ 4', '≤ 20']),
    ...latencyFigures(`${AT_ONCE} at once`, results.aloneAtOnce, results.threeAtOnce),
    figureOf(`let in after the answer of a logout, of ${checks}`, count((status) => status === 200), '≤ 0'),
    figureOf(`answered neither 200 nor 401, of ${checks}`, count((status) => status !== 200 && status !== 401))
  ]
}

/** One logout at a time, at the one and at the three in turn: a slow moment of the machine meets both. */
async function alternate (alone: Instances, three: Instances) {
  const logouts = { alone: none(), three: none() }
  await alone.prepare(LOGOUTS)
  await three.prepare(LOGOUTS)
  while (await alone.logOut(logouts.alone) && await three.logOut(logouts.three));
  return logouts
}

async function logOutAtOnce (instances: Instances): Promise<Logouts> {
  const logouts = none()
  await instances.prepare(LOGOUTS)
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (await instances.logOut(logouts));
  }))
  return logouts
}

function none (): Logouts {
  return { latencies: [], statuses: [] }
}

function latencyFigures (name: string, alone: Logouts[], three: Logouts[], reach: string[] = []): Figure[] {
  return [50, 99].flatMap((share, i) => {
    const [one = [], many = []] = [alone, three].map((rounds) => rounds.map(({ latencies }) => {
      return percentile(latencies.toSorted((a, b) => a - b), share / 100)
    }))
    return [
      figureOf(`logout on one instance, ${name}, p${share} (ms)`, one),
      figureOf(`logout on ${INSTANCES} instances, ${name}, p${share} (ms)`, many),
      figureOf(`added by ${INSTANCES} instances, ${name}, at p${share} (ms)`, many.map((value, round) => value - one[round]!), reach[i])
    ]
  })
}
