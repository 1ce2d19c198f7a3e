import { randomBytes, sign } from 'node:crypto'
import { join } from 'node:path'
import { bareSessions, readKeyPair } from './bare.ts'
import { ROUNDS, alone, figureOf, interleaved, rates, ratios, startRival, startService } from './harness.ts'
import { inTurn, load, request, requestsWith } from './load.ts'
import { seed } from './seed.ts'
import type { Seeds } from './seed.ts'

/** Long enough for several checkpoints. */
export const REFRESH_SECONDS = 0.5

/** A session's last access token has expired before its next refresh, as in production, so that its row does not grow. */
export const REFRESH_SETTINGS = { ACCESS_TOKEN_TTL: '1s' }

const AT_ONCE = 64
const SESSIONS = 50_000
const SIGNED_BYTES = 600

/** Refreshes, each on disk before its response, compared with their least cost: a request, a signature, and a share of a commit. */
export default async function refresh () {
  const seeds = await seed({ users: SESSIONS, sampled: SESSIONS, isDue: true })
  const [service, bare] = await Promise.all([startService({ folder: seeds.folder, env: REFRESH_SETTINGS }), startRival('bare-refresh')])
  const ids = seeds.sample.map(({ sid }) => sid)
  const sessions = bareSessions(join(seeds.folder, 'commits.db'), ids)
  const nextId = inTurn(ids)
  const nextOpen = inTurn(requestsWith([seeds.sample[0]!.accessToken], '/health/live'))
  const [nextRefresh, nextBare] = [refreshesOf(seeds), refreshesOf(seeds)]
  const { privateKey } = readKeyPair()
  const content = randomBytes(SIGNED_BYTES)

  const { open, signed, committed, bareRefreshed, refreshed } = await interleaved({
    open: () => load({ of: service, next: nextOpen, connections: AT_ONCE, seconds: REFRESH_SECONDS }),
    signed: () => alone(() => { sign('sha256', content, { key: privateKey, dsaEncoding: 'ieee-p1363' }) }, REFRESH_SECONDS),
    committed: () => alone(() => { sessions.advance(Array.from({ length: AT_ONCE }, nextId)) }, REFRESH_SECONDS),
    bareRefreshed: () => load({ of: bare, next: nextBare, connections: AT_ONCE, seconds: REFRESH_SECONDS }),
    refreshed: () => load({ of: service, next: nextRefresh, connections: AT_ONCE, seconds: REFRESH_SECONDS })
  }, 3 * ROUNDS)
  sessions.close()
  await Promise.all([service.stop(), bare.stop()])

  const costs = open.map(({ rate }, i) => 1 / rate + 1 / signed[i]!.rate + 1 / committed[i]!.rate / AT_ONCE)
  return [
    figureOf('bare ES256 signature (1/s)', rates(signed)),
    figureOf('commit of 64 updates, synchronous=FULL (1/s)', rates(committed)),
    figureOf('bare Fastify route that signs and shares a commit, 64 at once (req/s)', rates(bareRefreshed), '', { chart: 'routes', name: 'bare sign and commit', isLimit: true }),
    figureOf('POST /auth/refresh, 64 at once, durable (req/s)', rates(refreshed), '', { chart: 'routes', name: 'POST /auth/refresh' }),
    figureOf('refreshes ÷ (open route + signature + share of a commit)', refreshed.map(({ rate }, i) => rate * costs[i]!), '≥ 0.6'),
    figureOf('refreshes ÷ bare route that signs and shares a commit', ratios(refreshed, bareRefreshed, 'rate'))
  ]
}

/** Refresh requests without repetition: all sessions in their first generation, then all in their second, and so on. */
export function refreshesOf ({ sample, refreshToken }: Seeds): () => Buffer {
  let count = 0
  return () => {
    const { sid } = sample[count % sample.length]!
    const generation = Math.floor(count++ / sample.length)
    return request('POST', '/auth/refresh', {}, { refresh_token: refreshToken(sid, generation) })
  }
}
