import { BEHIND_A_GATEWAY, PASSWORD, figureOf, interleaved, percentile, ratios, startService } from './harness.ts'
import { inTurn, load, loginRequest, requestsWith } from './load.ts'
import { seed } from './seed.ts'

const LOGINS_AT_ONCE = 64
const SECONDS = 3
const SHARES = [50, 90, 99, 99.9]

/**
 * The latency of /verify during a storm of logins. Passwords are hashed in threads of nice 19. With sched_autogroup, nice
 * values count only within a session, so the load generator must run in the service's own: do not start it or the service
 * with setsid or `detached`.
 */
export default async function storm () {
  const { folder, sample } = await seed({ users: 10_000 })
  const service = await startService({ folder, env: BEHIND_A_GATEWAY })
  const nextVerify = inTurn(requestsWith(sample.map(({ accessToken }) => accessToken), '/verify'))
  let sent = 0
  const nextCredentials = inTurn(sample.map(({ username }, i) => loginRequest(username, PASSWORD, i)))
  const nextLogin = () => {
    sent++
    return nextCredentials()
  }
  const verify = () => load({ of: service, next: nextVerify, seconds: SECONDS })

  const { idle, stormy } = await interleaved({
    idle: verify,
    async stormy () {
      sent = 0
      const over = load({ of: service, next: nextLogin, connections: LOGINS_AT_ONCE, seconds: SECONDS })
      const verified = await verify()
      const logins = (sent - LOGINS_AT_ONCE) / SECONDS // the last ones have no response yet, and from here on nothing competes with them
      await over
      return { ...verified, logins }
    }
  })
  await service.stop()

  const at = (share: number) => ({ latencies }: { latencies: number[] }) => percentile(latencies, share / 100)
  const line = (name: string, results: Array<{ latencies: number[] }>) => SHARES.map((share) =>
    figureOf(`GET /verify, p${share}, ${name} (ms)`, results.map(at(share)), '', { chart: 'latency', name, x: share }))
  return [
    ...line('idle', idle),
    ...line('under a storm of logins', stormy),
    figureOf('logins meanwhile (1/s)', stormy.map(({ logins }) => logins)),
    figureOf('GET /verify under the storm ÷ idle', ratios(stormy, idle, 'rate'), '≥ 0.85'),
    figureOf('its p99 under the storm ÷ idle', stormy.map((result, i) => at(99)(result) / at(99)(idle[i]!)), '≤ 2')
  ]
}
