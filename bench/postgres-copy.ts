import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import manifest from '../package.json' with { type: 'json' }
import { query } from '../test/postgres/server.ts'
import { figureOf } from './harness.ts'
import { seed } from './seed.ts'
import type { Cluster } from '../test/postgres/cluster.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const [, ...CLI_ARGUMENTS] = manifest.scripts.cli.split(' ')
const SESSIONS = Number(process.env.BENCH_USERS ?? 1_000_000)

export type Copy = Awaited<ReturnType<typeof copyTo>>

/**
 * Copies a folder's SQLite database into a new one of PostgreSQL by `npm run cli -- copy`, which compares them, too. Gives the
 * settings of a service on the copy: it has the same keys, so the same tokens are good.
 */
export async function copyTo (cluster: Cluster, folder: string) {
  const url = await cluster.createDatabase()
  const seconds = await runCopy(`file:${join(folder, 'postern.db')}`, url)
  await query(url, 'vacuum analyze') // else the server does it while something is measured
  const env = { DATABASE_URL: url, MASTER_KEY: readFileSync(join(folder, 'master.key'), 'utf8') }

  return {
    env,
    seconds,
    /** Makes another database of the same content. Nobody may be connected to this one. */
    async again () {
      return { ...env, DATABASE_URL: await cluster.createDatabase({ template: new URL(url).pathname.slice(1) }) }
    }
  }
}

async function runCopy (from: string, to: string): Promise<number> {
  const startedAt = performance.now()
  const env = { ...process.env, ISSUER: 'http://127.0.0.1', DATABASE_URL: from }
  const child = spawn(process.execPath, [...CLI_ARGUMENTS, 'copy', '--to', to], { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`The copy ended with code ${code}.`)
  return (performance.now() - startedAt) / 1000
}

/** The time of `cli copy` from its start to its end, for as many accounts as sessions. */
export async function copyFigures (cluster: Cluster) {
  const { folder } = await seed({ users: SESSIONS, sampled: 1 })
  const { seconds, env } = await copyTo(cluster, folder)
  const [row] = await query(env.DATABASE_URL, 'select count(*)::int as count from sessions')
  if (row?.count !== SESSIONS) throw new Error(`${row?.count} of ${SESSIONS} sessions were copied.`)

  const count = SESSIONS.toLocaleString('en')
  return [figureOf(`${count} accounts with a session each copied from SQLite to PostgreSQL and compared (s)`, [seconds], '≤ 60')]
}
