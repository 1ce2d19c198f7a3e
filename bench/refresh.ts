import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import { MANY_ROUNDS, alone, figureOf, interleaved, rates, ratios, startRival, startService } from './harness.ts'
import { inTurn, load, request, requestsWith } from './load.ts'
import { seed } from './seed.ts'
import type { Seeds } from './seed.ts'

const AT_ONCE = 64
const SESSIONS = 50_000
const SIGNED_BYTES = 600

/** Refreshes, every one on disk before it is answered, against what one must cost: a request, a signature, and its share of a commit. */
export default async function refresh () {
  const seeds = await seed({ users: SESSIONS, sampled: SESSIONS })
  const [service, bare] = await Promise.all([startService({ folder: seeds.folder }), startRival('bare-refresh')])
  const commit = commits(seeds)
  const nextOpen = inTurn(requestsWith([seeds.sample[0]!.accessToken], '/health/live'))
  const [nextRefresh, nextBare] = [refreshesOf(seeds), refreshesOf(seeds)]
  const { privateKey: pem } = generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } })
  const privateKey = createPrivateKey(pem) // read, as the service reads its own: one that was just made signs more slowly
  const content = randomBytes(SIGNED_BYTES)

  const { open, signed, committed, bareRefreshed, refreshed } = await interleaved({
    open: () => load({ of: service, next: nextOpen, connections: AT_ONCE }),
    signed: () => alone(() => { sign('sha256', content, { key: privateKey, dsaEncoding: 'ieee-p1363' }) }),
    committed: () => alone(commit.run),
    bareRefreshed: () => load({ of: bare, next: nextBare, connections: AT_ONCE }),
    refreshed: () => load({ of: service, next: nextRefresh, connections: AT_ONCE })
  }, MANY_ROUNDS)
  commit.close()
  await Promise.all([service.stop(), bare.stop()])

  const costs = open.map(({ rate }, i) => 1 / rate + 1 / signed[i]!.rate + 1 / committed[i]!.rate / AT_ONCE)
  return [
    figureOf('bare ES256 signature (1/s)', rates(signed)),
    figureOf('commit of 64 updates, synchronous=FULL (1/s)', rates(committed)),
    figureOf('bare Fastify route that signs and shares a commit, 64 at once (req/s)', rates(bareRefreshed), '', { chart: 'routes', name: 'bare sign and commit', isLimit: true }),
    figureOf('POST /auth/refresh, 64 at once, durable (req/s)', rates(refreshed), '', { chart: 'routes', name: 'POST /auth/refresh' }),
    figureOf('refreshes ÷ (open route + signature + share of a commit)', refreshed.map(({ rate }, i) => rate * costs[i]!), '≥ 0.7'),
    figureOf('refreshes ÷ bare route that signs and shares a commit', ratios(refreshed, bareRefreshed, 'rate'))
  ]
}

/** Refresh requests, none of them twice: all sessions in their first generation, then all in their second, and so on. */
export function refreshesOf ({ sample, refreshToken }: Seeds): () => Buffer {
  let count = 0
  return () => {
    const { sid } = sample[count % sample.length]!
    const generation = Math.floor(count++ / sample.length)
    return request('POST', '/auth/refresh', {}, { refresh_token: refreshToken(sid, generation) })
  }
}

/** Commits like those of the service, with one row changed for each who waits, in a file beside its own. */
function commits ({ folder, sample }: Seeds) {
  const client = new Client(join(folder, 'commits.db'))
  client.pragma('journal_mode = WAL')
  client.pragma('synchronous = FULL')
  client.exec('create table sessions (id text primary key, generation integer not null) strict')
  const insert = client.prepare('insert into sessions values (?, 0)')
  client.transaction(() => { for (const { sid } of sample) insert.run(sid) })()

  const advance = client.prepare('update sessions set generation = generation + 1 where id = ?')
  const nextId = inTurn(sample.map(({ sid }) => sid))
  const run = client.transaction(() => { for (let i = 0; i < AT_ONCE; i++) advance.run(nextId()) })
  return { run: () => { run.immediate() }, close: () => client.close() }
}
