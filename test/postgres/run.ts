import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { openDatabase } from '../../db/index.ts'
import { startCluster } from './cluster.ts'
import { TEMPLATE } from './databases.ts'
import { startPooler } from './pooler.ts'
import { query } from './server.ts'

// The tests of the service over PostgreSQL, directly and through a pooler in transaction mode. What looks into a SQLite file
// stays with `npm test`; so does the process, its start and its documents, which have no other database to them.

const FOLDERS = ['test/db/contract/*.test.ts', 'test/plugins/**/*.test.ts', 'test/routes/**/*.test.ts']
const OF_POSTGRES = ['test/postgres/*.test.ts']

const closers: Array<() => unknown> = []
const scope = { teardown: (close: () => unknown) => { closers.unshift(close) } }

/** What looks at a file of SQLite's, at what writes share a commit, or at the numbers of revocations, among which keys count here. */
const OF_SQLITE = /better-sqlite3|db\.file|fileOf|master\.key|postern_db_commit_writes|\.away|GET \/revocations'/

function sharedTests (): string[] {
  return FOLDERS.flatMap((pattern) => globSync(pattern)).filter((file) => !OF_SQLITE.test(readFileSync(file, 'utf8'))).sort()
}

async function run (name: string, server: string, files: string[]): Promise<boolean> {
  console.log(`# PostgreSQL ${name}`)
  const env = { ...process.env, TEST_POSTGRES: server }
  const tap = spawn('tap', ['run', '--disable-coverage', '--jobs=2', '--timeout=180', ...files], { env, stdio: 'inherit' })
  const [code] = await once(tap, 'exit')
  return code === 0
}

let isPassed = false
try {
  const cluster = await startCluster(scope, { isDurable: false })
  await query(cluster.url('postgres'), `create database ${TEMPLATE}`)
  await (await openDatabase(cluster.url(TEMPLATE))).close()
  const pooler = await startPooler(scope, cluster)
  const chosen = process.argv.slice(2)
  const files = chosen.length > 0 ? chosen : [...sharedTests(), ...globSync(OF_POSTGRES)]
  const direct = await run('directly', cluster.url('postgres'), files)
  const pooled = await run('through a pooler', pooler.url('postgres'), chosen.length > 0 ? chosen : globSync('test/db/contract/*.test.ts'))
  isPassed = direct && pooled
} finally {
  for (const close of closers) await close()
}
process.exitCode = isPassed ? 0 : 1
