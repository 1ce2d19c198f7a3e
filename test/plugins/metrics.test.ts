import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { readConfig } from '../../plugins/config.ts'
import { serveMetrics } from '../../plugins/metrics.ts'
import { PASSWORD, build, createClock, createLog, signIn, signUp } from '../helper.ts'
import { ROOT } from '../processes.ts'
import type { AddressInfo } from 'node:net'

const clock = createClock()
const { logger, lines } = createLog()
const server = await build(t, { env: { METRICS_PORT: '0' }, now: clock.now, logger })
const address = String(lines.find(({ msg }) => String(msg).startsWith('metrics: '))?.msg).slice('metrics: '.length)

/** What Prometheus reads now: the value of each series, by its name and labels. */
async function scrape (): Promise<Record<string, number>> {
  const text = await (await fetch(address)).text()
  return Object.fromEntries(text.split('\n').filter((line) => line && !line.startsWith('#')).map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

/** How much each series grows by what is done. */
async function growth (deed: () => Promise<unknown>): Promise<(series: string) => number> {
  const before = await scrape()
  await deed()
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
      await server.db.users.update(user.id, { disabled: true })
      await logIn(user.username, PASSWORD)
    })

    t.equal(grown('postern_logins_total{outcome="signed_in"}'), 1)
    t.equal(grown('postern_logins_total{outcome="invalid_credentials"}'), 2)
    t.equal(grown('postern_logins_total{outcome="account_disabled"}'), 1)
  })

  t.test('counts refreshes by outcome', async (t) => {
    const ada = await signUp(server)

    const grown = await growth(async () => {
      await ada.refresh()
      await ada.refresh()
      clock.advance(60)
      await ada.refresh()
      await ada.refresh()
    })

    for (const outcome of ['rotated', 'repeated', 'reused', 'unknown']) t.equal(grown(`postern_refreshes_total{outcome="${outcome}"}`), 1, outcome)
  })

  t.test('tells how many sessions live and how many revocations matter', async (t) => {
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

  t.test('tells what the hashing of passwords has to do', async (t) => {
    const hashes = Array.from({ length: 50 }, () => server.passwords.hash(PASSWORD))

    const { postern_argon2_running: running = 0, postern_argon2_waiting: waiting = 0 } = await scrape()
    await Promise.all(hashes)

    t.equal(running, 1)
    t.ok(waiting > 0)
    t.match(await scrape(), { postern_argon2_running: 0, postern_argon2_waiting: 0 })
  })

  t.test('tells how long commits take and how many writes share one', async (t) => {
    const grown = await growth(() => Promise.all([1, 2, 3].map((time) => server.db.probe.run(time))))

    t.equal(grown('postern_db_commit_duration_seconds_count'), 1)
    t.equal(grown('postern_db_commit_deeds_sum'), 3)
    t.ok(grown('postern_db_commit_duration_seconds_sum') > 0)
  })

  t.test('tells the delay of the event loop', async (t) => {
    t.match(await scrape(), { nodejs_eventloop_lag_p99_seconds: Number })
  })

  t.test('says nothing of anybody', async (t) => {
    const ada = await signUp(server, { username: 'ada', email: 'ada@example.com' })
    await ada.inject({ url: '/verify/ada?role=ada' })
    await ada.inject({ method: 'DELETE', url: '/auth/sessions/ada' })

    t.notMatch(await server.metrics!.text(), /ada/) // it is on
  })
})

t.test('METRICS_PORT', async (t) => {
  t.test('is another one: the port of the service has no /metrics', async (t) => {
    t.equal((await server.inject({ url: '/metrics' })).statusCode, 404)
  })

  t.test('is told by its name when it is taken', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    t.teardown(() => taken.close())
    const { port } = taken.address() as AddressInfo // it listens on a port

    await t.rejects(serveMetrics({ host: '127.0.0.1', port }, async () => '', server.log), { code: 'wrong_setting', message: /^METRICS_PORT is \d+ and METRICS_HOST is "127\.0\.0\.1" but should be .+\.$/ })
  })

  t.test('is not open to others unless that is said', async (t) => {
    t.same(readConfig({ METRICS_PORT: '9464', HOST: '0.0.0.0' }).metrics, { host: '127.0.0.1', port: 9464 })
    t.equal(readConfig({}).metrics, undefined)
  })
})

t.test('docs/metrics.md', async (t) => {
  const names = [...(await server.metrics!.text()).matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name)

  t.test('lists every metric, and none of ours that is none', async (t) => {
    const listed = [...readFileSync(`${ROOT}docs/metrics.md`, 'utf8').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name)

    t.same(names.filter((name) => !listed.includes(name)), [])
    t.same(listed.filter((name = '') => name.startsWith('postern') && !names.includes(name)), [])
  })

  t.test('comes with a dashboard that asks for metrics and labels that there are', async (t) => {
    const { panels } = JSON.parse(readFileSync(`${ROOT}docs/grafana/postern.json`, 'utf8')) as { panels: Array<{ targets?: Array<{ expr: string }> }> }
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    const asked = queries.flatMap((query) => query.match(/\b(postern|process|nodejs)_\w+/g) ?? []).map((name) => names.includes(name) ? name : name.replace(/_(bucket|count|sum)$/, ''))
    const grouped = new Set(queries.flatMap((query) => [...query.matchAll(/by \(([\w, ]+)\)/g)].flatMap(([, labels = '']) => labels.split(', '))))

    t.same([...new Set(asked)].filter((name) => !names.includes(name)), [])
    t.same(names.filter((name) => name.startsWith('postern') && !asked.includes(name)), [], 'and leaves none of ours out')
    t.same([...grouped].filter((label) => !['le', 'route', 'status', 'code', 'outcome'].includes(label)), [])
  })
})
