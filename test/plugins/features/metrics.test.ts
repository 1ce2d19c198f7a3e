import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { serveMetrics } from '../../../plugins/features/metrics/serve.ts'
import { NO_HOLD, PASSWORD, build, createClock, createLog, signIn, signUp } from '../../helper.ts'
import { ROOT } from '../../processes.ts'
import type { AddressInfo } from 'node:net'

const clock = createClock()
const { logger, lines } = createLog()
const server = await build(t, { env: { METRICS_PORT: '0' }, now: clock.now, logger })
const address = String(lines.find(({ msg }) => String(msg).startsWith('metrics: '))?.msg).slice('metrics: '.length)

/** The text that Prometheus reads. */
async function read (): Promise<string> {
  return (await fetch(address)).text()
}

/** The value of each series now, by its name and labels. */
async function scrape (): Promise<Record<string, number>> {
  return Object.fromEntries((await read()).split('\n').filter((line) => line && !line.startsWith('#')).map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

/** How much each series grows by `work`. */
async function growth (work: () => Promise<unknown>): Promise<(series: string) => number> {
  const before = await scrape()
  await work()
  const after = await scrape()
  return (series) => (after[series] ?? 0) - (before[series] ?? 0)
}

function logIn (username: string, password: string) {
  return server.inject({ method: 'POST', url: '/auth/login', payload: { username, password } })
}

t.test('GET /metrics', async (t) => {
  t.test('counts requests, and how long they took, by method, route and class of status', async (t) => {
    const ada = await signUp(server)

    const grown = await growth(async () => {
      await ada.inject({ url: '/secret' })
      await server.inject({ url: '/secret' })
      await ada.inject({ url: '/auth/sessions?secret=1' })
      await ada.inject({ method: 'DELETE', url: '/auth/sessions/none' })
      await server.inject({ url: '/nowhere' })
    })

    const count = (method: string, route: string, status: string) => grown(`postern_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`)
    t.equal(count('GET', '/secret', '2xx'), 1)
    t.equal(count('GET', '/secret', '4xx'), 1)
    t.equal(count('GET', '/auth/sessions', '2xx'), 1)
    t.equal(count('DELETE', '/auth/sessions/:id', '4xx'), 1)
    t.equal(count('GET', 'none', '4xx'), 1)
    t.ok(grown('postern_http_request_duration_seconds_sum{method="GET",route="/secret",status="2xx"}') > 0)
    t.equal(grown('postern_refusals_total{code="missing_token"}'), 1)
  })

  t.test('counts logins by outcome', async (t) => {
    const { user } = await signUp(server)

    const grown = await growth(async () => {
      await logIn(user.username, PASSWORD)
      await logIn(user.username, 'something else')
      await logIn('nobody', 'something else')
      await server.db.users.update(user.id, { disabled: true }, NO_HOLD)
      await logIn(user.username, PASSWORD)
    })

    t.equal(grown('postern_logins_total{outcome="signed_in"}'), 1)
    t.equal(grown('postern_logins_total{outcome="invalid_credentials"}'), 2)
    t.equal(grown('postern_logins_total{outcome="account_disabled"}'), 1)
  })

  t.test('counts refreshes by outcome, and the tokens that were used twice', async (t) => {
    const ada = await signUp(server)

    const grown = await growth(async () => {
      await ada.refresh()
      await ada.refresh()
      clock.advance(60)
      await ada.refresh()
      await ada.refresh()
    })

    t.equal(grown('postern_refreshes_total{outcome="rotated"}'), 1)
    t.equal(grown('postern_refreshes_total{outcome="replayed_in_grace"}'), 1)
    t.equal(grown('postern_refreshes_total{outcome="token_revoked"}'), 2)
    t.equal(grown('postern_refresh_token_reuse_total'), 1)
  })

  t.test('shows how many sessions live and how many revocations have not expired', async (t) => {
    const { user, inject } = await signUp(server)

    const grown = await growth(async () => {
      for (let i = 0; i < 3; i++) await signIn(server, user.username)
      await inject({ method: 'POST', url: '/auth/logout' })
    })
    t.equal(grown('postern_sessions'), 2)
    t.equal(grown('postern_revocations'), 1)

    clock.advance(365 * 86_400)
    await server.sessions.prune()
    const { postern_sessions: sessions, postern_revocations: revocations } = await scrape()
    t.same({ sessions, revocations }, { sessions: 0, revocations: 0 })
  })

  t.test('shows how many passwords are hashed and how many wait', async (t) => {
    const hashes = Array.from({ length: 50 }, () => server.passwords.hash(PASSWORD))

    const { postern_argon2_running: running = 0, postern_argon2_waiting: waiting = 0 } = await scrape()
    await Promise.all(hashes)

    t.equal(running, 1)
    t.ok(waiting > 0)
    t.match(await scrape(), { postern_argon2_running: 0, postern_argon2_waiting: 0 })
  })

  t.test('shows how long commits take and how many writes share one', async (t) => {
    const grown = await growth(() => Promise.all([1, 2, 3].map((time) => server.db.probe(time))))

    t.equal(grown('postern_db_commit_duration_seconds_count'), 1)
    t.equal(grown('postern_db_commit_writes_sum'), 3)
    t.ok(grown('postern_db_commit_duration_seconds_sum') > 0)
  })

  t.test('shows the delay of the event loop', async (t) => {
    t.match(await scrape(), { nodejs_eventloop_lag_p99_seconds: Number })
  })

  t.test('names nobody', async (t) => {
    const ada = await signUp(server, { username: 'ada', email: 'ada@example.com' })
    await ada.inject({ url: '/verify/ada?role=ada' })
    await ada.inject({ method: 'DELETE', url: '/auth/sessions/ada' })

    t.notMatch(await read(), /ada/)
  })
})

t.test('METRICS_PORT', async (t) => {
  t.test('is refused when it is PORT', async (t) => {
    await t.rejects(build(t, { env: { PORT: '3000', METRICS_PORT: '3000' } }), { code: 'wrong_setting', message: 'METRICS_PORT is 3000, as PORT is, but should be another port.' })
  })

  t.test('is a port of its own: the port of the service has no /metrics', async (t) => {
    t.equal((await server.inject({ url: '/metrics' })).statusCode, 404)
  })

  t.test('is named in the error when it is taken', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    t.teardown(() => taken.close())
    const { port } = taken.address() as AddressInfo // it listens on a port

    await t.rejects(serveMetrics({ host: '127.0.0.1', port }, async () => '', server.log), { code: 'wrong_setting', message: /^METRICS_PORT is \d+ and METRICS_HOST is "127\.0\.0\.1" but should be .+\.$/ })
  })

  t.test('is open to this machine alone unless METRICS_HOST says otherwise', async (t) => {
    const { logger, lines } = createLog()

    await build(t, { env: { METRICS_PORT: '0', HOST: '0.0.0.0' }, logger })

    t.match(lines.filter(({ msg }) => /metrics/.test(String(msg))), [{ msg: /^metrics: http:\/\/127\.0\.0\.1:\d+\/metrics$/ }])
  })

  t.test('opens nothing unless it is set', async (t) => {
    const { logger, lines } = createLog()

    await build(t, { logger })

    t.notMatch(JSON.stringify(lines), 'metrics')
  })
})

t.test('docs/metrics.md', async (t) => {
  const names = [...(await read()).matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name)

  t.test('lists every metric, and no metric of ours that does not exist', async (t) => {
    const listed = [...readFileSync(`${ROOT}docs/metrics.md`, 'utf8').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name)

    t.same(names.filter((name) => !listed.includes(name)), [])
    t.same(listed.filter((name = '') => name.startsWith('postern') && !names.includes(name)), [])
  })

  t.test('comes with a dashboard that asks for existing metrics and labels', async (t) => {
    const { panels } = JSON.parse(readFileSync(`${ROOT}docs/grafana/postern.json`, 'utf8')) as { panels: Array<{ targets?: Array<{ expr: string }> }> }
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    const asked = queries.flatMap((query) => query.match(/\b(postern|process|nodejs)_\w+/g) ?? []).map((name) => names.includes(name) ? name : name.replace(/_(bucket|count|sum)$/, ''))
    const grouped = new Set(queries.flatMap((query) => [...query.matchAll(/by \(([\w, ]+)\)/g)].flatMap(([, labels = '']) => labels.split(', '))))

    t.same([...new Set(asked)].filter((name) => !names.includes(name)), [])
    t.same(names.filter((name) => name.startsWith('postern') && !asked.includes(name)), [], 'and leaves none of ours out')
    t.same([...grouped].filter((label) => !['le', 'route', 'status', 'code', 'outcome'].includes(label)), [])
  })
})
