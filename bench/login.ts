import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { PASSWORD, figureOf, interleaved, onDatabase, rates, ratios, startService } from './harness.ts'
import { inTurn, load, request } from './load.ts'
import { seed } from './seed.ts'

const AT_ONCE = 64
const SECONDS = 1.5

/** Logins beside what argon2id does alone in as many threads: one for each core, as it is by default, and one. */
export default async function login () {
  const { folder, sample } = await seed({ users: 10_000 })
  const passwordHash = await onDatabase(folder, ({ passwords }) => passwords.hash(PASSWORD))
  const service = await startService({ folder })
  const single = await startService({ folder, env: { ARGON2_THREADS: '1' } })
  const next = inTurn(sample.map(({ username }) => request('POST', '/auth/login', {}, { username, password: PASSWORD })))

  const { raw, logins, singleRaw, singleLogins } = await interleaved({
    raw: () => rawRate(passwordHash, availableParallelism()),
    logins: () => load({ of: service, next, connections: AT_ONCE, seconds: SECONDS }),
    singleRaw: () => rawRate(passwordHash, 1),
    singleLogins: () => load({ of: single, next, connections: AT_ONCE, seconds: SECONDS })
  })
  await Promise.all([service.stop(), single.stop()])

  return [
    figureOf('raw argon2id verifies (1/s)', rates(raw), '', { chart: 'logins', name: 'raw argon2id', isLimit: true }),
    figureOf('POST /auth/login, 64 at once (req/s)', rates(logins), '', { chart: 'logins', name: 'POST /auth/login' }),
    figureOf('logins ÷ raw argon2id verifies', ratios(logins, raw, 'rate'), '≥ 0.95'),
    figureOf('the same in one thread (`ARGON2_THREADS=1`)', ratios(singleLogins, singleRaw, 'rate'))
  ]
}

async function rawRate (passwordHash: string, threads: number): Promise<{ rate: number }> {
  const workerData = { password: PASSWORD, passwordHash, seconds: SECONDS }
  const counts = await Promise.all(Array.from({ length: threads }, async () => {
    const [rate] = await once(new Worker(new URL('raw-argon2.ts', import.meta.url), { workerData }), 'message') as [number]
    return rate
  }))
  return { rate: counts.reduce((sum, rate) => sum + rate, 0) }
}
