import { createHash, sign } from 'node:crypto'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import workerThreads from 'node:worker_threads'
import Fastify from 'fastify'
import app, { options } from '../app.ts'
import { readConfig } from '../plugins/core/config/index.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { TAP, Test } from 'tap'
import type { AuditEvent } from '../plugins/core/database.ts'

/** Settings for tests: a database in memory, and hashes that cost little. */
export const TEST_ENVIRONMENT = {
  DATABASE_URL: 'file::memory:',
  ARGON2_MEMORY_KIB: '1024',
  ARGON2_TIME_COST: '1',
  ARGON2_THREADS: '1',
  RATE_LIMIT: 'off'
}

/** With the URL of a PostgreSQL server in TEST_POSTGRES every database of a test is one there (test/postgres/run.ts). */
const { TEST_POSTGRES } = process.env

/** The settings of a test, with the database in the engine that is tested. */
async function environmentOf (env: Record<string, string>): Promise<Record<string, string>> {
  if (TEST_POSTGRES === undefined) return { ...TEST_ENVIRONMENT, ...env }
  const { testDatabase } = await import('./postgres/databases.ts')
  const { DATABASE_URL: name, ...others } = env
  const DATABASE_URL = /^postgres/.test(name ?? '') ? name! : await testDatabase(TEST_POSTGRES, name)
  const MASTER_KEY = createHash('sha256').update(DATABASE_URL).digest('base64') // another one for each database, as beside a file
  return { ...TEST_ENVIRONMENT, MASTER_KEY, ...others, DATABASE_URL }
}

export const PASSWORD = 'seven yellow umbrellas'

/** A clock that stands still until time passes, or somebody sets it. */
export function createClock (time = Date.parse('2026-11-21T12:00:00Z')) {
  let uptime = 0
  return {
    now: () => time,
    uptime: () => uptime,
    advance (seconds: number) {
      time += seconds * 1000
      uptime += seconds * 1000
    },
    /** Sets the clock ahead, or back. */
    set (seconds: number) { time += seconds * 1000 }
  }
}

interface BuildOptions {
  env?: Record<string, string>
  now?: () => number
  /** Needed where the clock is set. */
  uptime?: () => number
  logger?: FastifyServerOptions['logger']
  /** What a fork adds. */
  routes?: FastifyPluginAsync
}

/** A test, or whatever else closes what it opened. */
interface Scope {
  teardown: (close: () => unknown) => void
}

/** The real service, as `npm start` makes it, closed when the test ends. */
export async function build (t: Scope, { env = {}, now, uptime, logger = false, routes = async () => {} }: BuildOptions = {}): Promise<FastifyInstance> {
  const config = readConfig(await environmentOf(env))
  const server = Fastify({ ...options(), logger })
  t.teardown(() => server.close())
  await server.register(app, { config, now, uptime })
  await server.register(routes)
  await server.ready()
  return server
}

/** One service for all tests of a file, each of which finds it without accounts: starting one for each would take its time. */
export async function buildShared (t: TAP, options?: BuildOptions): Promise<FastifyInstance> {
  const server = await build(t, options)
  t.beforeEach(async () => { await server.db.users.removeAll() })
  return server
}

/** A logger that keeps its lines, and hands each to `onLine` as it is written. */
export function createLog (onLine = (_line: Record<string, unknown>) => {}) {
  const lines: Array<Record<string, unknown>> = []
  function write (text: string) {
    const line = JSON.parse(text)
    lines.push(line)
    onLine(line)
  }
  return { lines, logger: { level: 'trace', stream: { write } } }
}

/** Lets every new thread of this process fail as it starts, or in being made when `script` throws, until the function that it gives is called. */
export function breakThreads (t: Scope, script = () => 'throw new Error("no memory")'): () => void {
  const { Worker } = workerThreads
  workerThreads.Worker = class extends Worker {
    constructor () {
      super(script(), { eval: true })
    }
  }
  function restore () { workerThreads.Worker = Worker }
  t.teardown(restore)
  return restore
}

/** Sends text over a socket as it is, and gives back all that a listening server answers until it hangs up. */
export async function converse (server: FastifyInstance, ...lines: string[]): Promise<string> {
  const { port } = server.server.address() as AddressInfo // it listens on a port
  const socket = connect(port, '127.0.0.1')
  socket.write([...lines, '', ''].join('\r\n'))
  return text(socket)
}

/** A path for a database that goes with the test. */
export function databaseUrl (t: Test): string {
  return `file:${join(t.testdir(), 'data', 'postern.db')}`
}

/** How somebody who knows @fastify/jwt protects a route. */
export const stockRoute: FastifyPluginAsync = async (fastify) => {
  fastify.get('/stock', { onRequest: async (request) => { await request.jwtVerify() } }, async ({ user }) => user)
}

/** For tests of repositories: names are free as soon as they are given up. */
export const NO_HOLD = { now: 0, until: 0, keyOf: String }

let count = 0

/** Somebody who has just registered, with `inject` bound to their access token. */
export async function signUp (server: FastifyInstance, names: { username?: string, email?: string } = { username: `user${++count}` }) {
  const response = await server.inject({ method: 'POST', url: '/auth/register', payload: { ...names, password: PASSWORD } })
  if (response.statusCode !== 201) throw new Error(response.body)
  return signedIn(server, response.json())
}

/** Another session of somebody who has registered. */
export async function signIn (server: FastifyInstance, username: string, password = PASSWORD) {
  const response = await server.inject({ method: 'POST', url: '/auth/login', payload: { username, password } })
  if (response.statusCode !== 200) throw new Error(response.body)
  return signedIn(server, response.json())
}

/** Somebody who has just registered and is an administrator. */
export async function signUpAdmin (server: FastifyInstance, username = `admin${++count}`) {
  const { user } = await signUp(server, { username })
  await server.db.users.update(user.id, { roles: ['admin'] }, NO_HOLD)
  return signIn(server, username)
}

/** Asserts that an answer is this refusal, in the one shape that they all have. */
export function assertRefused (t: Test, response: LightMyRequestResponse, status: number, code: string) {
  const { headers: { 'content-type': type }, statusCode } = response
  t.match({ type, statusCode, problem: response.json() }, {
    type: /^application\/problem\+json/,
    statusCode: status,
    problem: { type: 'about:blank', status, code, title: String, detail: String }
  })
}

/** Asserts that a list is as wanted, and no longer: `t.match` alone lets it be longer. */
export function assertList (t: Test, found: unknown[], wanted: object[]) {
  t.match(found, wanted)
  t.equal(found.length, wanted.length, 'and holds no more')
}

/** Asserts that neither token of a session opens anything any more. */
export async function assertOver (t: Test, server: FastifyInstance, tokens: { access_token: string, refresh_token: string }) {
  const secret = await server.inject({ url: '/secret', headers: bearer(tokens.access_token) })
  const refreshed = await server.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(tokens.refresh_token) })
  assertRefused(t, secret, 401, 'token_revoked')
  assertRefused(t, refreshed, 401, 'token_revoked')
}

/** The header that presents a token. */
export function bearer (token: string) {
  return { authorization: `Bearer ${token}` }
}

/** The header of a gateway or service, by its id and secret. */
export function basic (id: string, secret: string) {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
}

/** The header of a client that was just made. */
export async function signUpClient ({ apiClients }: FastifyInstance) {
  const id = `client${++count}`
  const secret = await apiClients.create(id)
  return basic(id, secret!) // there was none of that id
}

/** What an access token says. */
export function claimsOf (token: string) {
  const [, body = ''] = token.split('.')
  return JSON.parse(Buffer.from(body, 'base64url').toString())
}

/** A token with other claims, and if need be another header, under an ES256 key that should be ours alone. */
export function forge (token: string, privateKey: string, claims: object, header: object = {}) {
  const [head = ''] = token.split('.')
  const parts = [{ ...JSON.parse(Buffer.from(head, 'base64url').toString()), ...header }, { ...claimsOf(token), ...claims }]
  const content = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${content}.${sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** All that people have put into the database. */
export async function stored ({ db }: FastifyInstance) {
  const users = await db.users.list({ limit: 1000 })
  const listed = await Promise.all(users.map(({ id }) => db.sessions.list(id, 0)))
  const sessions = await Promise.all(listed.flat().map(async ({ id }) => (await db.sessions.findById(id))!)) // it is listed
  return { users, sessions, revocations: await db.revocations.since(0) }
}

/** The audit log, the oldest event first. */
export async function auditEvents ({ db }: Pick<FastifyInstance, 'db'>): Promise<AuditEvent[]> {
  const events: AuditEvent[] = []
  for await (const event of db.audit.walk()) events.push(event)
  return events
}

interface SignedIn {
  access_token: string
  refresh_token: string
  token_type: string
  expires_in: number
  refresh_token_expires_in: number
  user: { id: string, username: string, email: string | null, name: string | null, roles: string[], disabled: boolean, created_at: string }
}

function signedIn (server: FastifyInstance, answer: SignedIn) {
  return {
    ...answer,
    inject: (request: InjectOptions) => server.inject({ ...request, headers: { ...bearer(answer.access_token), ...request.headers } }),
    refresh: (token = answer.refresh_token) => server.inject({ method: 'POST', url: '/auth/refresh', payload: { refresh_token: token } })
  }
}
