import { rename } from 'node:fs/promises'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { assertList, auditEvents, build, createClock, createLog, databaseUrl, signUp } from '../../helper.ts'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Test } from 'tap'

const MINUTE = 60_000
const LIMIT = { max: 1, windowMilliseconds: MINUTE }

t.test('The jobs of the service', async (t) => {
  mockTimers(t)

  t.test('forget once a minute what expired a day ago, and nothing else', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { REFRESH_TOKEN_TTL: '1h', AUDIT_RETENTION: '1d' }, now: clock.now })
    const ada = await signUp(server)
    const bea = await signUp(server)
    await server.db.revocations.add('old', clock.now() + 1000)
    clock.advance(86_400 + 3601)
    await bea.refresh()
    const cleo = await signUp(server)
    await server.db.revocations.add('new', clock.now() + 1000)
    await server.blocklist.freshen()
    t.equal(server.blocklist.has('old'), true)

    mock.timers.tick(MINUTE)
    await settled(server)

    t.equal(server.blocklist.has('old'), false)
    t.equal(server.blocklist.has('new'), true)
    t.same((await server.db.revocations.since(0)).map(({ revokedId }) => revokedId), ['new'])
    t.same((await auditEvents(server)).map(({ event, subject }) => [event, subject]), [['registered', cleo.user.id]])
    t.match(await server.db.audit.verify(), { events: 1, broken: undefined })
    t.same(await server.db.sessions.list(ada.user.id, 0), [])
    t.same(await server.db.sessions.list(bea.user.id, 0), [])
    t.equal((await server.db.sessions.list(cleo.user.id, 0)).length, 1)
  })

  t.test('forget the requests and attempts that no longer count', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { RATE_LIMIT: 'on' }, now: clock.now })
    const { requestCounts, signInLimits } = server.db
    for (const [key, time] of [['old', 0], ['new', clock.now()]] as const) {
      await requestCounts.add(key, LIMIT, time)
      await signInLimits.admit({ pair: { key, ...LIMIT }, others: [], knownPair: '' }, time)
    }

    mock.timers.tick(MINUTE)
    await settled(server)

    for (const { prune } of [requestCounts, signInLimits]) t.equal(await prune(Number.MAX_SAFE_INTEGER), 1)
  })

  t.test('are logged when the database fails, and tried again', async (t) => {
    const clock = createClock()
    const { lines, logger } = createLog()
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) }, now: clock.now, logger })
    await server.db.revocations.add('old', clock.now() - 86_400_000)
    await rename(server.db.file!, `${server.db.file}.away`)

    mock.timers.tick(MINUTE)
    await settled(server)
    t.match(lines.at(-1), { level: 50, job: String, err: { code: 'database_unavailable' }, msg: /tried again/ })
    await rename(`${server.db.file}.away`, server.db.file!)
    mock.timers.tick(MINUTE)
    await settled(server)

    t.same(await server.db.revocations.since(0), [])
  })
})

t.test('jobs.every', async (t) => {
  mockTimers(t)

  t.test('runs a job at its interval, and never twice at once', async (t) => {
    const runs: Array<PromiseWithResolvers<void>> = []
    const { pass } = await start(t, { routes: every(1000, 'slow', () => begin(runs)) })

    await pass(999)
    t.equal(runs.length, 0)
    await pass(1)
    t.equal(runs.length, 1)
    for (let i = 0; i < 5; i++) await pass(1000)
    t.equal(runs.length, 1, 'the first run has not ended')
    runs[0]!.resolve()
    await setImmediate()
    await pass(1000)

    t.equal(runs.length, 2)
    runs[1]!.resolve()
  })

  t.test('runs a job in one of several processes at each interval, whichever is left', async (t) => {
    const runs: string[] = []
    const env = { DATABASE_URL: databaseUrl(t) }
    const clock = createClock()
    const starts = ['a', 'b', 'c'].map(async (name) => [name, await build(t, { env, now: clock.now, routes: every(1000, 'one', async () => runs.push(name)) })] as const)
    const servers = new Map(await Promise.all(starts))

    for (let count = 1; count < 10; count++) {
      clock.advance(1)
      mock.timers.tick(1000)
      await Promise.all([...servers.values()].map(settled))
      t.equal(runs.length, count)
      if (count % 3 > 0 || servers.size === 1) continue
      const last = runs.at(-1)! // there is one more
      await servers.get(last)!.close()
      servers.delete(last)
    }
  })

  t.test('runs a job at the next interval when the clock was set back, or its timer is a little early', async (t) => {
    let count = 0
    const { clock, pass } = await start(t, { routes: every(1000, 'one', async () => { count++ }) })
    await pass(1000)

    clock.set(-86_400)
    await pass(1000)
    t.equal(count, 2)
    clock.set(-0.1)
    await pass(1000)
    t.equal(count, 3)
    clock.set(86_400)
    await pass(1000)
    clock.set(-86_400)
    await pass(1000)

    t.equal(count, 5)
  })

  t.test('refuses two jobs of one name', async (t) => {
    const { jobs } = await build(t)

    t.throws(() => jobs.every(1000, 'prune-sessions', async () => {}), /two jobs "prune-sessions"/)
  })

  t.test('runs jobs of different names side by side', async (t) => {
    const runs: Array<PromiseWithResolvers<void>> = []
    const routes: FastifyPluginAsync = async ({ jobs }) => { for (const name of ['one', 'two']) jobs.every(1000, name, () => begin(runs)) }
    const { pass } = await start(t, { routes })

    await pass(1000)

    t.equal(runs.length, 2)
    for (const { resolve } of runs) resolve()
  })

  t.test('logs a failure, and tries again', async (t) => {
    const { lines, logger } = createLog()
    let count = 0
    const { pass } = await start(t, { logger, routes: every(1000, 'flaky', async () => { if (++count === 1) throw new Error('no luck') }) })

    for (let i = 0; i < 2; i++) await pass(1000)

    t.equal(count, 2)
    assertList(t, lines.filter(({ level }) => Number(level) >= 40), [{ level: 50, job: 'flaky', err: { message: 'no luck' }, msg: 'a job failed, and will be tried again' }])
  })

  t.test('ends with the server', async (t) => {
    const runs: Array<PromiseWithResolvers<void>> = []
    const { lines, logger } = createLog()
    const { clock, server } = await start(t, { logger, routes: every(1000, 'slow', () => begin(runs)) })

    await server.close()
    clock.advance(60)
    mock.timers.tick(MINUTE)
    await setImmediate()

    t.equal(runs.length, 0)
    t.same(lines.filter(({ level }) => Number(level) >= 40), [])
  })

  t.test('lets a run end before the database closes', async (t) => {
    const runs: Array<PromiseWithResolvers<void>> = []
    const { lines, logger } = createLog()
    const routes: FastifyPluginAsync = async ({ db, jobs }) => {
      jobs.every(1000, 'slow', async () => {
        await begin(runs)
        await db.probe(1)
      })
    }
    const { pass, server } = await start(t, { logger, routes })
    await pass(1000)

    const closed = server.close()
    for (let i = 0; i < 10; i++) await setImmediate()
    runs[0]!.resolve()
    await closed

    t.same(lines.filter(({ level }) => Number(level) >= 40), [])
  })
})

t.test('jobs.everywhere', async (t) => {
  mockTimers(t)

  t.test('runs a job in each process, and never twice at once in one', async (t) => {
    const runs: Array<PromiseWithResolvers<void>> = []
    const env = { DATABASE_URL: databaseUrl(t) }
    const routes: FastifyPluginAsync = async ({ jobs }) => jobs.everywhere(1000, 'own', () => begin(runs))
    await Promise.all(Array.from({ length: 2 }, () => build(t, { env, routes })))

    for (let i = 0; i < 3; i++) mock.timers.tick(1000)
    t.equal(runs.length, 2)
    for (const { resolve } of runs) resolve()
    await setImmediate()
    mock.timers.tick(1000)

    t.equal(runs.length, 4)
    for (const { resolve } of runs) resolve()
  })
})

/** A service, its clock, and a function that lets milliseconds pass until the jobs that are due have begun. */
async function start (t: Test, options: Parameters<typeof build>[1]) {
  const clock = createClock()
  const server = await build(t, { ...options, now: clock.now })
  async function pass (milliseconds: number) {
    clock.advance(milliseconds / 1000)
    mock.timers.tick(milliseconds)
    await settled(server)
  }
  return { clock, server, pass }
}

/** Lets intervals pass only when the test says so, until it ends. */
function mockTimers (t: Test) {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
}

/** A plugin with one job. */
function every (...job: Parameters<FastifyInstance['jobs']['every']>): FastifyPluginAsync {
  return async ({ jobs }) => jobs.every(...job)
}

/** A run of a job that ends when the test says so. */
function begin (runs: Array<PromiseWithResolvers<void>>): Promise<void> {
  const run = Promise.withResolvers<void>()
  runs.push(run)
  return run.promise
}

/** Waits until the writes that began before are on disk, or have failed. */
async function settled (server: FastifyInstance) {
  for (let i = 0; i < 11; i++) await server.db.probe(0).catch(() => {})
}
