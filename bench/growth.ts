import { BEHIND_A_GATEWAY, PASSWORD, ROUNDS, figureOf, inSittings, ratios, startService } from './harness.ts'
import { inTurn, load, loginRequest, requestsWith } from './load.ts'
import { REFRESH_SECONDS, REFRESH_SETTINGS, refreshesOf } from './refresh.ts'
import { seed } from './seed.ts'

const FEW = 100
const MORE = 10_000
const MOST = Number(process.env.BENCH_USERS ?? 1_000_000)
const LOGIN_SECONDS = 1
const AT_ONCE = 64
const REFRESH_WARM_UPS = 4 // two seconds, in which a new process compiles its code
const TOKENS = 1000 // few, so that all are cached after a moment

/** Verifications, logins and refreshes with more and more accounts and sessions. */
export default async function growth () {
  const databases = [await withUsers(FEW), await withUsers(MORE), await withUsers(MOST)]
  const start = (operation: 'verify' | 'login' | 'refresh') => async () => {
    const [few, more, most] = await Promise.all(databases.map((start) => start())) as [Service, Service, Service]
    return { variants: { few: few[operation], more: more[operation], most: most[operation] }, stop: () => Promise.all([few, more, most].map(({ stop }) => stop())) }
  }
  const results = {
    verify: await inSittings(start('verify')),
    login: await inSittings(start('login'), { sittings: 1, rounds: ROUNDS, warmUps: 1 }), // a hash takes much longer than what differs between processes
    refresh: await inSittings(start('refresh'), { rounds: 2, warmUps: REFRESH_WARM_UPS })
  }

  const label = (count: number) => count.toLocaleString('en')
  return (['verify', 'login', 'refresh'] as const).flatMap((operation) => {
    const { few, more, most } = results[operation]
    const point = (x: number) => ({ chart: 'growth', name: `${operation}, by users and sessions`, x })
    return [
      figureOf(`${operation} with ${label(MORE)} users ÷ with ${FEW}`, ratios(more, few, 'rate'), '', point(MORE)),
      figureOf(`${operation} with ${label(MOST)} users and sessions ÷ with ${FEW} users`, ratios(most, few, 'rate'), '≥ 0.9', point(MOST))
    ]
  })
}

type Service = Awaited<ReturnType<Awaited<ReturnType<typeof withUsers>>>>

/** Makes a database of so many users, and returns a function that starts a service on it. It has at least MORE sessions, so that none is refreshed much more often than in production. */
async function withUsers (users: number) {
  const seeds = await seed({ users, sessions: Math.max(users, MORE), isDue: true })
  const nextVerify = inTurn(requestsWith(seeds.sample.slice(0, TOKENS).map(({ accessToken }) => accessToken), '/verify'))
  const nextLogin = inTurn(seeds.sample.map(({ username }, i) => loginRequest(username, PASSWORD, i)))
  const nextRefresh = refreshesOf(seeds)

  return async () => {
    const service = await startService({ folder: seeds.folder, env: { ...REFRESH_SETTINGS, ...BEHIND_A_GATEWAY } })
    return {
      verify: () => load({ of: service, next: nextVerify }),
      login: () => load({ of: service, next: nextLogin, connections: AT_ONCE, seconds: LOGIN_SECONDS }),
      refresh: () => load({ of: service, next: nextRefresh, connections: AT_ONCE, seconds: REFRESH_SECONDS }),
      stop: service.stop
    }
  }
}
