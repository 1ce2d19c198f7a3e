import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { PASSWORD, newFolder, onDatabase, percentile, startService } from '../../bench/harness.ts'

/**
 * Does the time of a refusal tell who has an account? Wrong passwords for names that nobody has, for accounts and for
 * disabled ones are sent to the service in turn, in a new order each round, one after the other. Then the names of the
 * samples are shuffled: if they mean nothing, the medians differ by as much as they did before. So do the lower quartiles,
 * which other work on the machine disturbs less.
 */
const ROUNDS = Number(process.env.TIMING_ROUNDS ?? 400)
const NAMES = 20
const SHUFFLES = 3000
const SIGNIFICANCE = 0.001
const QUANTILES = { 'lower quartiles': 0.25, medians: 0.5 }

const KINDS = ['nobody', 'enable', 'disabl'] as const // of one length
const MEANINGS = { nobody: 'no such account', enable: 'wrong password', disabl: 'disabled account' }
type Kind = typeof KINDS[number]

/** The accounts are the same in both. Where they are hashed otherwise by now, what a name costs that nobody has must still be what an account costs. */
const SETTINGS = {
  'hashed as they are today': {},
  'hashed before ARGON2_TIME_COST was raised': { ARGON2_TIME_COST: '4' }
}

/** No limit is reached: what is measured is what an attacker could have measured before reaching one. */
const env = Object.fromEntries(['GUESSES', 'ACCOUNT', 'PAIR'].map((limit) => [`RATE_LIMIT_${limit}`, '1000000/1s']))

async function prepared (): Promise<string> {
  const folder = newFolder()
  await onDatabase(folder, async ({ accounts }) => {
    for (let i = 0; i < NAMES; i++) {
      await accounts.create({ username: `enable${i}`, password: PASSWORD }, [])
      const { id } = await accounts.create({ username: `disabl${i}`, password: PASSWORD }, [])
      await accounts.change(id, { disabled: true }, 'cli')
    }
  })
  return folder
}

/** How long the refusal of a wrong password takes, in milliseconds. */
async function tryWrongPassword (url: string, agent: Agent, username: string): Promise<number> {
  const body = JSON.stringify({ username, password: 'eleven green parasols!' })
  const startedAt = performance.now()
  const asking = request(`${url}/auth/login`, { method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': body.length } })
  asking.end(body)
  const [response] = await once(asking, 'response')
  const milliseconds = performance.now() - startedAt
  if (response.statusCode !== 401) throw new Error(`${response.statusCode} instead of 401`)
  await once(response.resume(), 'end')
  return milliseconds
}

async function measure (url: string): Promise<Record<Kind, number[]>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const times: Record<Kind, number[]> = { nobody: [], enable: [], disabl: [] }
  for (let round = -NAMES; round < ROUNDS; round++) {
    for (const kind of shuffled(KINDS)) {
      const milliseconds = await tryWrongPassword(url, agent, `${kind}${Math.abs(round) % NAMES}`)
      if (round >= 0) times[kind].push(milliseconds)
    }
  }
  agent.destroy()
  return times
}

/** How far a quantile of the one is from that of the others, how often it is as far when it is left to chance, and how far it seldom is. */
function compared (some: number[], others: number[], share: number) {
  const quantile = (times: number[]) => percentile(times.toSorted((a, b) => a - b), share)
  const distance = (all: number[]) => Math.abs(quantile(all.slice(0, some.length)) - quantile(all.slice(some.length)))
  const all = [...some, ...others]
  const apart = distance(all)
  const byChance = Array.from({ length: SHUFFLES }, () => distance(shuffled(all))).sort((a, b) => a - b)
  return { apart, likelihood: byChance.filter((other) => other >= apart).length / SHUFFLES, visible: percentile(byChance, 1 - SIGNIFICANCE) }
}

function shuffled<Item> (items: readonly Item[]): Item[] {
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [copy[i], copy[j]] = [copy[j]!, copy[i]!] // both are inside
  }
  return copy
}

const folder = await prepared()
for (const [setting, settings] of Object.entries(SETTINGS)) {
  const service = await startService({ folder, env: { ...env, ...settings } })
  const times = await measure(service.url)
  await service.stop()

  console.log(`${ROUNDS} wrong passwords of each kind, ${setting}, in milliseconds\n`)
  console.table(Object.fromEntries(KINDS.map((kind) => {
    const ascending = times[kind].toSorted((a, b) => a - b)
    const at = (share: number) => Number(percentile(ascending, share).toFixed(3))
    return [MEANINGS[kind], { 'lower quartile': at(0.25), median: at(0.5), 'upper quartile': at(0.75) }]
  })))

  for (const kind of ['enable', 'disabl'] as const) {
    for (const [quantiles, share] of Object.entries(QUANTILES)) {
      const { apart, likelihood, visible } = compared(times.nobody, times[kind], share)
      const isTold = likelihood < SIGNIFICANCE
      if (isTold) process.exitCode = 1
      console.log(`${MEANINGS[kind]} against ${MEANINGS.nobody}: the ${quantiles} are ${apart.toFixed(3)} ms apart; by chance they are as far in ${(likelihood * 100).toFixed(1)} % of cases, and more than ${visible.toFixed(3)} ms would have been seen: ${isTold ? 'THE TIME TELLS' : 'the time does not tell'}`)
    }
  }
  console.log()
}
