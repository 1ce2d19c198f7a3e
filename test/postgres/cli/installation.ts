import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import Fastify from 'fastify'
import t from 'tap'
import app, { options } from '../../../app.ts'
import { readConfig } from '../../../plugins/core/config/index.ts'
import { TEST_ENVIRONMENT } from '../../helper.ts'
import { cli as run } from '../../processes.ts'
import { startCluster } from '../cluster.ts'
import { query as queryOnce } from '../server.ts'
import type { FastifyInstance } from 'fastify'
import type { TAP, Test } from 'tap'

export const cluster = await startCluster(t as TAP, { isDurable: false })

/** The settings of an installation. Its services and commands have the same master key, whatever their database is. */
export function createInstallation () {
  const settings = { MASTER_KEY: randomBytes(32).toString('base64'), REVOCATION_LEASE: '1s' }

  return {
    settings,

    /** A service on a database, as `npm start` makes it; unlike `build` it is on the database that is named, whatever is tested. */
    async serve (t: Test, url: string, env: Record<string, string> = {}): Promise<FastifyInstance> {
      const server = Fastify({ ...options(), logger: false })
      t.teardown(() => server.close())
      await server.register(app, { config: readConfig({ ...TEST_ENVIRONMENT, ...settings, ...env, DATABASE_URL: url }) })
      await server.ready()
      return server
    },

    /** A command on a database. */
    cli: (url: string, words: string, { input = '', env = {} }: { input?: string, env?: Record<string, string> } = {}) => {
      return run({ env: { ...settings, ...env, DATABASE_URL: url }, input }, words)
    }
  }
}

export const newDatabase = () => cluster.createDatabase()

/** The URL of a file that is not there yet, in a folder that goes with the test. */
export function newFile (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-test-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return `file:${join(folder, 'postern.db')}`
}

export const query = queryOnce

export function pathOf (url: string): string {
  return url.slice('file:'.length)
}

/** All rows of a SQLite file, without those that its program writes for itself. */
export function contentOf (url: string): Record<string, unknown[]> {
  const client = new Client(pathOf(url))
  const tables = client.prepare<[], string>("select name from sqlite_schema where type = 'table' order by name").pluck().all()
  const ours = tables.filter((name) => !['__drizzle_migrations', 'probe'].includes(name))
  const rows = ours.map((name) => [name, client.prepare<[], unknown>(`select * from ${name}`).all().map((row) => JSON.stringify(row)).sort()])
  client.close()
  return Object.fromEntries(rows)
}

export function changeFile (url: string, ...statements: string[]) {
  const client = new Client(pathOf(url))
  for (const statement of statements) client.exec(statement)
  client.close()
}

/** Writes sessions of one account into a file: enough of them that copying takes a while. */
export function addSessions (url: string, count: number) {
  const client = new Client(pathOf(url))
  const [userId] = client.prepare<[], string>('select id from users').pluck().all()
  const insert = client.prepare('insert into sessions values (?, ?, 1, 1, 1, 9e14, 9e14, ?, ?, ?, ?)')
  client.transaction(() => {
    for (let i = 0; i < count; i++) insert.run(`id${i}`, userId, '127.0.0.1', i % 2 ? null : 'it\'s "a" \\ {browser}, ä \u{1f600}', '[]', '[]')
  })()
  client.close()
}
