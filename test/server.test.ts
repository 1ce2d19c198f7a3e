import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import Client from 'better-sqlite3'
import t from 'tap'
import { PASSWORD, databaseUrl } from './helper.ts'
import { SERVER, run, startServer } from './processes.ts'
import type { AddressInfo } from 'node:net'

const ADA = { username: 'ada', password: PASSWORD }
const FINISH_MILLISECONDS = 5000

t.test('npm start', async (t) => {
  t.test('makes all that it needs on the first start, and uses it on the second', async (t) => {
    const cwd = t.testdir()
    const data = join(cwd, 'data')

    const first = await startServer(t, { cwd, env: { DATABASE_URL: '' } })
    const keys = await (await first.request('GET', '/.well-known/jwks.json')).json()
    await first.ends('SIGTERM')
    const second = await startServer(t, { cwd, env: { DATABASE_URL: '' } })

    t.same(await (await second.request('GET', '/.well-known/jwks.json')).json(), keys)
    t.same(readdirSync(data).filter((name) => !/-(wal|shm)$/.test(name)), ['master.key', 'postern.db'])
    t.equal(modeOf(data), '700')
    for (const name of readdirSync(data)) t.equal(modeOf(join(data, name)), '600', name)
  })

  t.test('prints where the docs are and how to make an administrator, a line each', async (t) => {
    const server = await startServer(t)

    const messages = server.lines().map((line) => JSON.parse(line).msg)
    const docs = await fetch(messages[0].replace('ready: open ', ''))

    t.match(messages[0], /^ready: open http:\/\/127\.0\.0\.1:[1-9]\d+\/docs$/)
    t.equal(docs.status, 200)
    t.match(await docs.text(), /swagger-ui/)
    await server.says('to make an administrator: npm run cli -- users create --email you@example.com --role admin')
  })

  t.test('warns when ISSUER is not set, and names no docs with DOCS=off', async (t) => {
    const server = await startServer(t, { env: { HOST: 'localhost', DOCS: 'off' } })

    const messages = server.lines().map((line) => JSON.parse(line).msg)

    t.equal(messages[0], 'ISSUER is not set: tokens name http://localhost:0 as their issuer')
    t.match(messages[1], /^ready: http:\/\/[\d.:[\]]+$/)
    t.equal((await server.request('GET', '/health/live')).status, 200)
    t.equal(await server.ends('SIGTERM'), 0)
  })

  t.test('names what is misspelt in .env, once', async (t) => {
    const cwd = t.testdir({ '.env': 'ACCES_TOKEN_TTL=5m\nDOCS=off\n' })

    for (const WORKERS of ['1', '2']) {
      const server = await startServer(t, { cwd, env: { DATABASE_URL: '', WORKERS } })
      t.match(JSON.parse(await server.says('ACCES_TOKEN_TTL')), { level: 40, msg: 'ACCES_TOKEN_TTL in .env is no setting of Postern, and is ignored. Do you mean ACCESS_TOKEN_TTL?' })
      t.equal(server.lines().filter((line) => line.includes('ACCES_TOKEN_TTL')).length, 1)
      t.equal(await server.ends('SIGTERM'), 0)
    }
  })

  t.test('reads .env, which the environment overrides', async (t) => {
    const cwd = t.testdir({ '.env': 'AUDIENCE=two words\nCLIENT_ID=two words\n' })

    const { code, stderr } = await run(SERVER, { cwd, env: { CLIENT_ID: 'one' } })

    t.equal(code, 1)
    t.equal(stderr, 'AUDIENCE is "two words" but should be a name without spaces for who accepts the access tokens.\n')
  })
})

t.test('a wrong setting stops the start with one sentence', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo // it listens on a port
  const folder = t.testdir()

  const settings: Array<[Record<string, string>, RegExp]> = [
    [{ PORT: String(port) }, new RegExp(`^PORT is ${port} but should be a port that is free and that this user may listen on \\(.*EADDRINUSE.*\\)\\.$`)],
    [{ HOST: '192.0.2.1' }, /^HOST is "192\.0\.2\.1" but should be an address of this machine \(.*EADDRNOTAVAIL.*\)\.$/],
    [{ HOST: 'no-such-host.invalid' }, /^HOST is "no-such-host\.invalid" but should be an address of this machine \(getaddrinfo .*\)\.$/],
    [{ DATABASE_URL: `file:${folder}` }, /^DATABASE_URL is "file:.*" but should be a file that can be opened \(EISDIR.*\)\.$/]
  ]

  await Promise.all(settings.map(async ([env, sentence]) => {
    const { code, stdout, stderr } = await run(SERVER, { env: { ISSUER: 'http://localhost', ...env } })

    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr.trimEnd(), sentence, JSON.stringify(env))
  }))
})

t.test('an unexpected error stops the start with its stack', async (t) => {
  const env = { DATABASE_URL: databaseUrl(t) }
  const { ends } = await startServer(t, { env })
  await ends('SIGTERM')
  const client = new Client(env.DATABASE_URL.slice('file:'.length))
  client.exec("update signing_keys set public_key = 'none'")
  client.close()

  const { code, stderr } = await run(SERVER, { env })

  t.equal(code, 1)
  t.match(stderr, /Error: [^]+ at /)
})

t.test('a Node that is too old stops the start with one line', async (t) => {
  await Promise.all(['20.19.5', '22.18.0', '23.11.1'].map(async (version) => {
    const disguise = `data:text/javascript,Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`
    const [node = '', ...args] = SERVER

    const { code, stdout, stderr } = await run([node, '--import', disguise, ...args])

    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr.trimEnd(), new RegExp(`^Postern needs Node 22\\.19, or 24 or newer, and this is Node ${version}\\. [^\\n]+\\.$`))
  }))
})

t.test('SIGTERM', async (t) => {
  t.test('refuses new connections, finishes requests under way, and ends with 0', async (t) => {
    const server = await startServer(t)
    await server.request('POST', '/auth/register', { body: ADA }) // its connection stays open, idle
    const body = JSON.stringify(ADA)
    const login = httpRequest(`${server.address}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' }
    })
    await once(login, 'continue') // the service has begun with it

    const ending = server.ends('SIGTERM')
    const since = performance.now()
    await server.says('stopping')
    while (await letsIn(server.address)) continue
    login.end(body)
    const [answer] = await once(login, 'response')

    t.equal(answer.statusCode, 200)
    t.equal(answer.headers.connection, 'close')
    t.match(await json(answer), { token_type: 'Bearer' })
    t.equal(await ending, 0)
    t.ok(performance.now() - since < FINISH_MILLISECONDS)
  })

  t.test('finishes what is under way, however often the signals come', async (t) => {
    const server = await startServer(t, { env: { ARGON2_TIME_COST: '10', ARGON2_MEMORY_KIB: '65536' } })
    const answer = server.request('POST', '/auth/register', { body: ADA })
    while ((await server.request('GET', '/health/live')).status !== 200) continue // by then it has the other request

    const ending = server.ends()
    for (let i = 0; i < 200; i++) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(server.pid, signal)
    await server.says('stopping')
    for (let i = 0; i < 20; i++) server.interrupt()

    t.equal((await answer).status, 201)
    t.equal(await ending, 0)
    t.equal(server.lines().filter((line) => line.includes('"stopping"')).length, 1)
  })

  t.test('waits no longer than five seconds for a client that does not finish, and ends with 0', async (t) => {
    const server = await startServer(t)
    const login = httpRequest(`${server.address}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': 10, expect: '100-continue' }
    })
    await once(login, 'continue') // nothing more will come

    const since = performance.now()
    const [[error], code] = await Promise.all([once(login, 'error'), server.ends('SIGTERM')])

    t.equal(error.code, 'ECONNRESET')
    t.equal(code, 0)
    t.ok(performance.now() - since >= FINISH_MILLISECONDS)
    t.notOk(server.lines().some((line) => JSON.parse(line).level >= 50))
  })
})

t.test('SIGUSR1 opens no inspector', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo // it listens on a port
  other.close()
  const { request, ends, pid } = await startServer(t, { env: { NODE_OPTIONS: `--inspect-port=127.0.0.1:${port}` } })

  process.kill(pid, 'SIGUSR1')
  for (let i = 0; i < 20; i++) t.equal((await request('GET', '/health/live')).status, 200) // while it would open one

  t.equal(await letsIn(`http://127.0.0.1:${port}`), false)
  t.equal(await ends('SIGTERM'), 0)
})

t.test('an uncaught error is logged, and ends the service with 1', async (t) => {
  const [node = '', ...args] = SERVER
  const trap = 'data:text/javascript,process.on("SIGUSR2", () => { throw new Error("out of the blue") })'
  const server = await startServer(t, { command: [node, '--import', trap, ...args] })

  const code = await server.ends('SIGUSR2')

  t.equal(code, 1)
  t.match(JSON.parse(await server.says('out of the blue')), { level: 60, msg: 'stopping: an error that nobody caught' })
})

t.test('SIGKILL right after a logout does not bring the token back', async (t) => {
  const env = { DATABASE_URL: databaseUrl(t) }
  const first = await startServer(t, { env })
  const registered = await first.request('POST', '/auth/register', { body: ADA })
  const { access_token: token } = await registered.json() as { access_token: string }
  t.equal((await first.request('GET', '/secret', { token })).status, 200)

  const loggedOut = await first.request('POST', '/auth/logout', { token })
  await first.ends('SIGKILL')
  const second = await startServer(t, { env })
  const refused = await second.request('GET', '/secret', { token })

  t.equal(loggedOut.status, 204)
  t.equal(refused.status, 401)
  t.match(await refused.json(), { code: 'token_revoked' })
})

async function letsIn (address: string): Promise<boolean> {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  const isConnected = await once(socket, 'connect').then(() => true, () => false)
  socket.destroy()
  return isConnected
}

function modeOf (path: string): string {
  return (statSync(path).mode & 0o777).toString(8)
}
