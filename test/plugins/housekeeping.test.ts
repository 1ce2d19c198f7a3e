import { rename } from 'node:fs/promises'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { build, createClock, createLog, databaseUrl, signUp } from '../helper.ts'
import type { FastifyInstance } from 'fastify'

const MINUTE = 60_000
const LIMIT = { max: 1, windowMilliseconds: MINUTE }

t.test('Housekeeping', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())

  t.test('forgets once a minute what has expired, and nothing else', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { REFRESH_TOKEN_TTL: '1h', AUDIT_RETENTION: '1h' }, now: clock.now })
    const ada = await signUp(server)
    const bea = await signUp(server)
    await server.db.revocations.add('old', clock.now() + 1000)
    clock.advance(3601)
    await bea.refresh()
    const cleo = await signUp(server)
    await server.db.revocations.add('new', clock.now() + 1000)
    for (const [key, time] of [['old', 0], ['new', clock.now()]] as const) {
      await server.db.requestCounts.add(key, LIMIT, time)
      await server.db.guesses.admit({ key, ...LIMIT }, [], time)
    }
    t.equal(server.blocklist.has('old'), true)

    mock.timers.tick(MINUTE)
    await settled(server)

    t.equal(server.blocklist.has('old'), false)
    t.equal(server.blocklist.has('new'), true)
    t.same(server.db.revocations.since(0).map(({ revokedId }) => revokedId), ['new'])
    t.same([...server.db.audit.walk()].map(({ event, subject }) => [event, subject]), [['registered', cleo.user.id]])
    t.match(await server.db.audit.verify(), { events: 1, broken: undefined })
    t.same(await server.db.sessions.list(ada.user.id, 0), [])
    t.same(await server.db.sessions.list(bea.user.id, 0), [])
    t.equal((await server.db.sessions.list(cleo.user.id, 0)).length, 1)
    for (const { prune } of [server.db.requestCounts, server.db.guesses]) t.equal(await prune(Number.MAX_SAFE_INTEGER), 1)
  })

  t.test('logs a failing database, and tries again', async (t) => {
    const clock = createClock()
    const { lines, logger } = createLog()
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) }, now: clock.now, logger })
    await server.db.revocations.add('old', clock.now())
    await rename(server.db.file!, `${server.db.file}.away`)

    mock.timers.tick(MINUTE)
    await settled(server)
    t.match(lines.at(-1), { level: 50, err: { code: 'SQLITE_READONLY_DBMOVED' }, msg: /tried again/ })
    await rename(`${server.db.file}.away`, server.db.file!)
    mock.timers.tick(MINUTE)
    await settled(server)

    t.same(server.db.revocations.since(0), [])
  })

  t.test('ends with the server', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { logger })

    await server.close()
    mock.timers.tick(MINUTE)
    await setImmediate()

    t.same(lines.filter(({ level }) => Number(level) >= 40), [])
  })
})

/** What was begun before is written, or has failed. */
async function settled (server: FastifyInstance) {
  for (let i = 0; i < 11; i++) await server.db.probe.run(0).catch(() => {})
}
