import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { json, text } from 'node:stream/consumers'
import t from 'tap'
import { PASSWORD, bearer, databaseUrl } from './helper.ts'
import { SERVER, run, startServer } from './processes.ts'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

const ADA = { username: 'ada', password: PASSWORD }

/** A service of two processes, and connections that stay open: the first two are each to a process of its own. */
async function prepare (t: Test) {
  const server = await startServer(t, { env: { DATABASE_URL: databaseUrl(t), WORKERS: '2', DOCS: 'off', METRICS_PORT: '0' } })
  const log = () => server.lines().map((line) => JSON.parse(line))
  const ready = (count: number) => server.says('ready: ', count)
  await ready(2)

  function connect () {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    return async (method: string, path: string, { token, body }: { token?: string, body?: object } = {}) => {
      const asking = request(server.address + path, { method, agent, headers: { ...token !== undefined && bearer(token), ...body && { 'content-type': 'application/json' } } })
      asking.end(body && JSON.stringify(body))
      const [response] = await once(asking, 'response')
      return { status: response.statusCode, answer: JSON.parse(await text(response) || '{}') }
    }
  }

  return { ...server, log, ready, connect }
}

t.test('WORKERS=2', async (t) => {
  const shared = await prepare(t)

  t.test('refuses by one process, at the very next request, what the other has ended', async (t) => {
    const { connect, log } = shared
    const [here, there] = [connect(), connect()]
    const { answer: { access_token: token } } = await here('POST', '/auth/register', { body: ADA })
    await there('POST', '/auth/login', { body: ADA })
    for (const ask of [here, there]) t.equal((await ask('GET', '/secret', { token })).status, 200)

    t.equal((await here('POST', '/auth/logout', { token })).status, 204)
    const refused = await there('GET', '/secret', { token })

    t.match(refused, { status: 401, answer: { code: 'token_revoked' } })
    const [one, other] = ['registered', 'signed_in'].map((event) => log().find((line) => line.event === event).pid)
    t.not(one, other)
  })

  t.test('gives the metrics of all processes as one', async (t) => {
    const { connect, says } = shared
    const url = JSON.parse(await says('metrics: ')).msg.slice('metrics: '.length)
    const count = async () => Number(/^postern_http_request_duration_seconds_count\{method="GET",route="\/health\/live",status="2xx"\} (\d+)$/m.exec(await (await fetch(url)).text())?.[1] ?? 0)
    const before = await count()

    for (const ask of [connect(), connect()]) await ask('GET', '/health/live')

    t.equal(await count(), before + 2)
    t.equal(shared.lines().filter((line) => line.includes('metrics: ')).length, 1)
  })

  t.test('finishes what is under way when a terminal interrupts all of its processes at once', async (t) => {
    const body = JSON.stringify(ADA)
    const login = request(`${shared.address}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' }
    })
    await once(login, 'continue') // the service has begun with it

    shared.interrupt()
    await shared.says('stopping', 2)
    shared.interrupt()
    login.end(body)
    const [response] = await once(login, 'response')

    t.equal(response.statusCode, 200)
    t.match(await json(response), { token_type: 'Bearer' })
    t.equal(await shared.ends(), 0)
  })

  t.test('replaces a process that was killed, and ends with 0 on SIGTERM, also while it does so', async (t) => {
    const { connect, log, says, ready, ends } = await prepare(t)
    const pids = () => log().filter(({ msg }) => /^ready: /.test(msg)).map(({ pid }) => pid)
    const [first, second] = pids()

    process.kill(first, 'SIGKILL')
    t.match(JSON.parse(await says('worker_ended')), { level: 50, signal: 'SIGKILL' })
    t.equal((await connect()('GET', '/health/live')).status, 200)
    await ready(3)
    t.equal(new Set(pids()).size, 3)
    process.kill(second, 'SIGKILL')
    await says('worker_ended', 2)

    t.equal(await ends('SIGTERM'), 0)
    t.equal(pids().length, 3)
  })

  t.test('says once what stops the start', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    t.teardown(() => taken.close())
    const { port } = taken.address() as AddressInfo // it listens on a port

    const { code, stderr } = await run(SERVER, { env: { WORKERS: '2', PORT: String(port), DATABASE_URL: databaseUrl(t) } })

    t.equal(code, 1)
    t.match(stderr, /^PORT is [^\n]+\.\n$/)
  })
})
