import { figureOf, inSittings, rates, ratios, startService } from './harness.ts'
import { inTurn, load, requestsWith } from './load.ts'
import type { Seeds } from './seed.ts'

const TOKENS = 1000 // few, so that all are cached after a moment

/** The same tokens at a service on SQLite and at one on a copy of its database in PostgreSQL. */
export async function verifyFigures ({ folder, sample }: Seeds, copy: Record<string, string>) {
  const next = inTurn(requestsWith(sample.slice(0, TOKENS).map(({ accessToken }) => accessToken), '/verify'))

  const { sqlite, postgres } = await inSittings(async () => {
    const [onSqlite, onPostgres] = await Promise.all([startService({ folder }), startService({ env: copy })])
    return {
      variants: { sqlite: () => load({ of: onSqlite, next }), postgres: () => load({ of: onPostgres, next }) },
      stop: () => Promise.all([onSqlite.stop(), onPostgres.stop()])
    }
  })

  return [
    figureOf('GET /verify on SQLite (req/s)', rates(sqlite)),
    figureOf('GET /verify on PostgreSQL (req/s)', rates(postgres)),
    figureOf('GET /verify on PostgreSQL ÷ on SQLite', ratios(postgres, sqlite, 'rate'), '≥ 0.95'),
    figureOf('the same by processor time: SQLite ÷ PostgreSQL', ratios(sqlite, postgres, 'cost'))
  ]
}
