import { openDatabase } from '../db/index.ts'
import { MANY_ROUNDS, ROUNDS, figureOf, interleaved, rates, ratios, startService } from './harness.ts'
import { inTurn, load } from './load.ts'
import { rawSessions } from './postgres-raw.ts'
import { REFRESH_SECONDS, REFRESH_SETTINGS, refreshesOf } from './refresh.ts'
import type { Copy } from './postgres-copy.ts'
import type { Seeded, Seeds } from './seed.ts'

const AT_ONCE = 64
const CONNECTIONS = 10
const ACCESS_TOKEN_MILLISECONDS = 1000 // as in REFRESH_SETTINGS
const DAY_MILLISECONDS = 86_400_000
const SECONDS = 0.25
const WARM_UPS = 20 // until the repository is as compiled as in a service that has run for a while
const PLACE = { ip: '127.0.0.1', userAgent: null }

/** Refreshes over HTTP on both engines, and in this process by the repository and by the bare driver. */
export async function refreshFigures (seeds: Seeds, copy: Copy) {
  const [ofRepository, ofRaw] = [await copy.again(), await copy.again()]
  return [
    ...await compareEngines(seeds, copy),
    ...await compareWithDriver(seeds, ofRepository.DATABASE_URL, ofRaw.DATABASE_URL)
  ]
}

async function compareEngines (seeds: Seeds, copy: Copy) {
  const onSqlite = await startService({ folder: seeds.folder, env: REFRESH_SETTINGS })
  const onPostgres = await startService({ env: { ...copy.env, ...REFRESH_SETTINGS } })
  const [nextOnSqlite, nextOnPostgres] = [refreshesOf(seeds), refreshesOf(seeds)]

  const { sqlite, postgres } = await interleaved({
    sqlite: () => load({ of: onSqlite, next: nextOnSqlite, connections: AT_ONCE, seconds: REFRESH_SECONDS }),
    postgres: () => load({ of: onPostgres, next: nextOnPostgres, connections: AT_ONCE, seconds: REFRESH_SECONDS })
  }, 3 * ROUNDS)
  await Promise.all([onSqlite.stop(), onPostgres.stop()])

  return [
    figureOf(`POST /auth/refresh on SQLite, ${AT_ONCE} at once (req/s)`, rates(sqlite)),
    figureOf(`POST /auth/refresh on PostgreSQL, ${AT_ONCE} at once (req/s)`, rates(postgres)),
    figureOf('POST /auth/refresh on PostgreSQL ÷ on SQLite', ratios(postgres, sqlite, 'rate'))
  ]
}

async function compareWithDriver ({ sample }: Seeds, url: string, rawUrl: string) {
  const repository = await openSessions(url, sample)
  const raw = rawSessions(rawUrl, CONNECTIONS)
  const nextId = inTurn(sample.map(({ sid }) => sid))

  const { rotated, bare } = await interleaved({
    rotated: () => atOnce(repository.rotate),
    bare: () => atOnce(() => raw.advance(nextId(), ACCESS_TOKEN_MILLISECONDS))
  }, MANY_ROUNDS, WARM_UPS)
  await Promise.all([repository.close(), raw.close()])

  return [
    figureOf(`the same two statements by raw pg, ${AT_ONCE} at once over ${CONNECTIONS} connections (1/s)`, rates(bare)),
    figureOf(`sessions.rotate, ${AT_ONCE} at once over ${CONNECTIONS} connections (1/s)`, rates(rotated)),
    figureOf('sessions.rotate ÷ raw pg', ratios(rotated, bare, 'rate'), '≥ 0.7')
  ]
}

/** The repository alone, which rotates all sessions in turn. */
async function openSessions (url: string, sample: Seeded[]) {
  const { sessions, news, close } = await openDatabase(url, { connections: CONNECTIONS })
  await news.begin(0) // as a service does: only then statements are prepared
  let count = 0

  async function rotate () {
    const { sid } = sample[count % sample.length]! // it is not empty
    const generation = Math.floor(count++ / sample.length)
    const now = Date.now()
    const { outcome } = await sessions.rotate(sid, generation, {
      now,
      place: PLACE,
      isSamePlace: () => true,
      timesOf: () => ({ lastUsedAt: now, expiresAt: now + DAY_MILLISECONDS, accessExpiresAt: now + ACCESS_TOKEN_MILLISECONDS }),
      grace: 0,
      isInUse: () => true,
      mostLiveTokens: 128
    })
    if (outcome !== 'rotated') throw new Error(`A session was ${outcome}.`)
  }

  return { rotate, close }
}

/** Keeps so many calls under way. */
async function atOnce (run: () => Promise<void>): Promise<{ rate: number }> {
  let count = 0
  const startedAt = performance.now()
  const endsAt = startedAt + SECONDS * 1000
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (; performance.now() < endsAt; count++) await run()
  }))
  return { rate: count / (performance.now() - startedAt) * 1000 }
}
