import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { BEHIND_A_GATEWAY, PASSWORD, figureOf, interleaved, onDatabase, rates, ratios, startService } from './harness.ts'
import { inTurn, load, loginRequest } from './load.ts'
import { seed } from './seed.ts'

const AT_ONCE = 64
const SECONDS = 1.5

/** Logins, compared with bare argon2id in the same number of threads: the default number, and one per core. */
export default async function login () {
  const { folder, sample } = await seed({ users: 10_000 })
  const { passwordHash, threads } = await onDatabase(folder, async ({ config, passwords }) => ({ passwordHash: await passwords.hash(PASSWORD), threads: config.argon2.threads }))
  const cores = availableParallelism()
  const service = await startService({ folder, env: BEHIND_A_GATEWAY })
  const full = await startService({ folder, env: { ...BEHIND_A_GATEWAY, ARGON2_THREADS: String(cores) } })
  const next = inTurn(sample.map(({ username }, i) => loginRequest(username, PASSWORD, i)))

  const { raw, logins, fullRaw, fullLogins } = await interleaved({
    raw: () => rawRate(passwordHash, threads),
    logins: () => load({ of: service, next, connections: AT_ONCE, seconds: SECONDS }),
    fullRaw: () => rawRate(passwordHash, cores),
    fullLogins: () => load({ of: full, next, connections: AT_ONCE, seconds: SECONDS })
  })
  await Promise.all([service.stop(), full.stop()])

  const figuresOf = (threads: number, alone: typeof raw, served: typeof logins, reach = '') => {
    const inThreads = `in ${threads} ${threads === 1 ? 'thread' : 'threads'}`
    return [
      figureOf(`raw argon2id verifies ${inThreads} (1/s)`, rates(alone), '', { chart: 'logins', name: `raw argon2id ${inThreads}`, isLimit: true }),
      figureOf(`POST /auth/login ${inThreads}, 64 at once (req/s)`, rates(served), '', { chart: 'logins', name: `POST /auth/login ${inThreads}` }),
      figureOf(`logins ÷ raw argon2id verifies ${inThreads}`, ratios(served, alone, 'rate'), reach)
    ]
  }
  return [...figuresOf(threads, raw, logins, '≥ 0.95'), ...figuresOf(cores, fullRaw, fullLogins)]
}

async function rawRate (passwordHash: string, threads: number): Promise<{ rate: number }> {
  const workerData = { password: PASSWORD, passwordHash, seconds: SECONDS }
  const counts = await Promise.all(Array.from({ length: threads }, async () => {
    const [rate] = await once(new Worker(new URL('raw-argon2.ts', import.meta.url), { workerData }), 'message') as [number]
    return rate
  }))
  return { rate: counts.reduce((sum, rate) => sum + rate, 0) }
}
