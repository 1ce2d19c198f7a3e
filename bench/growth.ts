import { MANY_ROUNDS, PASSWORD, figureOf, interleaved, ratios, startService } from './harness.ts'
import { inTurn, load, request, requestsWith } from './load.ts'
import { refreshesOf } from './refresh.ts'
import { seed } from './seed.ts'

const FEW = 100
const MORE = 10_000
const MOST = Number(process.env.BENCH_USERS ?? 1_000_000)
const LOGIN_SECONDS = 1
const AT_ONCE = 64

/** Whether anything slows down as accounts and sessions pile up. */
export default async function growth () {
  const few = await withUsers(FEW)
  const more = await withUsers(MORE)
  const most = await withUsers(MOST)

  const results = {
    ...await interleaved({
      verifyFew: few.verify,
      verifyMore: more.verify,
      verifyMost: most.verify,
      refreshFew: few.refresh,
      refreshMore: more.refresh,
      refreshMost: most.refresh
    }, MANY_ROUNDS),
    ...await interleaved({ loginFew: few.login, loginMore: more.login, loginMost: most.login })
  }
  await Promise.all([few, more, most].map(({ stop }) => stop()))

  const label = (count: number) => count.toLocaleString('en')
  return (['verify', 'login', 'refresh'] as const).flatMap((deed) => {
    const point = (x: number) => ({ chart: 'growth', name: `${deed}, by users and sessions`, x })
    return [
      figureOf(`${deed} with ${label(MORE)} users ÷ with ${FEW}`, ratios(results[`${deed}More`], results[`${deed}Few`], 'rate'), '', point(MORE)),
      figureOf(`${deed} with ${label(MOST)} users and sessions ÷ with ${FEW} users`, ratios(results[`${deed}Most`], results[`${deed}Few`], 'rate'), '≥ 0.9', point(MOST))
    ]
  })
}

/** At least as many sessions as are asked about, so that none is refreshed much more often than in life. */
async function withUsers (users: number) {
  const seeds = await seed({ users, sessions: Math.max(users, MORE) })
  const service = await startService({ folder: seeds.folder })
  const nextVerify = inTurn(requestsWith(seeds.sample.map(({ accessToken }) => accessToken), '/verify'))
  const nextLogin = inTurn(seeds.sample.map(({ username }) => request('POST', '/auth/login', {}, { username, password: PASSWORD })))
  const nextRefresh = refreshesOf(seeds)

  return {
    verify: () => load({ of: service, next: nextVerify }),
    login: () => load({ of: service, next: nextLogin, connections: AT_ONCE, seconds: LOGIN_SECONDS }),
    refresh: () => load({ of: service, next: nextRefresh, connections: AT_ONCE }),
    stop: service.stop
  }
}
