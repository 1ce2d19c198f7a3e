import t from 'tap'
import { assertRefused, build, createLog } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

type NewsEvent = Parameters<FastifyInstance['databaseEvents']['onEvent']>[0]

const SYNCED: NewsEvent = { kind: 'synced', milliseconds: 1 }

/** A service that hears of its database what the test says; `logged` gives what it logged since, `ready` what a load balancer is told. */
async function prepare (t: Test) {
  const { lines, logger } = createLog()
  const server = await build(t, { logger })
  lines.length = 0
  return {
    hear (...events: NewsEvent[]) { events.forEach(server.databaseEvents.onEvent) },
    logged: () => lines.splice(0).map(({ level, event }) => [level, event]),
    ready: () => server.inject({ url: '/health/ready' }),
    server
  }
}

t.test('What happens between a process and its database', async (t) => {
  t.test('is logged once when it begins, and once when it is over', async (t) => {
    const { hear, logged } = await prepare(t)
    const failed = { kind: 'failed', error: new Error('no answer') } as const

    hear({ kind: 'connected', isHeard: true }, SYNCED, SYNCED, { kind: 'settled', milliseconds: 1, outcome: 'known' })
    t.same(logged(), [])
    hear(failed, failed, { kind: 'lapsed' }, failed)
    t.same(logged(), [[50, 'database_silent'], [40, 'lease_lapsed']])
    hear({ kind: 'connected', isHeard: false }, SYNCED, SYNCED)
    t.same(logged(), [[40, 'database_polled'], [30, 'database_answers']])
    hear({ kind: 'history_lost' })
    t.same(logged(), [[50, 'history_lost']])
  })

  t.test('makes a service not ready while its clock is off by half a minute, and warns of two seconds', async (t) => {
    const { hear, logged, ready } = await prepare(t)

    hear({ kind: 'clock', offMilliseconds: 1999 })
    t.same(logged(), [])
    hear({ kind: 'clock', offMilliseconds: -2000 }, { kind: 'clock', offMilliseconds: 29_999 })
    t.same(logged(), [[40, 'clock_off']])
    t.equal((await ready()).statusCode, 200)
    hear({ kind: 'clock', offMilliseconds: -30_000 })
    assertRefused(t, await ready(), 503, 'database_unavailable')
    hear({ kind: 'clock', offMilliseconds: 0 })
    t.equal((await ready()).statusCode, 200)
  })

  t.test('is said of a service that is blind, until the database answers', async (t) => {
    const { hear, logged, ready } = await prepare(t)

    hear({ kind: 'blind' })
    t.same(logged(), [[50, 'blind']])
    t.same((await ready()).json(), { status: 'blind' })
    hear(SYNCED)

    t.same((await ready()).json(), { status: 'ok' })
  })

  t.test('is heard by whoever subscribed', async (t) => {
    const { hear, server } = await prepare(t)
    const heard: NewsEvent[] = []

    server.databaseEvents.subscribe((event) => { heard.push(event) })
    hear(SYNCED)

    t.same(heard, [SYNCED])
  })
})
