import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import t from 'tap'
import { assertList, assertRefused, bearer, build, createClock, databaseUrl, signUp } from '../../helper.ts'
import type { Test } from 'tap'

const MINUTE = 60
const DAY = 24 * 60 * MINUTE
const YEAR = 365 * DAY

t.test('The blocklist', async (t) => {
  t.test('knows at once what another process revoked', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const [one, two] = await Promise.all([build(t, { env }), build(t, { env })])
    const [atOne, atTwo] = await Promise.all([one, two].map((server) => server.listen({ host: '127.0.0.1', port: 0 })))
    const ada = await signUp(one)
    const headers = { authorization: `Bearer ${ada.access_token}` }
    for (let i = 0; i < 3; i++) t.equal((await fetch(`${atTwo}/secret`, { headers })).status, 200)

    const logout = await fetch(`${atOne}/auth/logout`, { method: 'POST', headers })
    const next = await fetch(`${atTwo}/secret`, { headers })

    t.equal(logout.status, 204)
    t.equal(next.status, 401)
    t.match(await next.json(), { code: 'token_revoked' })
  })

  t.test('still knows after a restart', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const before = await build(t, { env })
    const ada = await signUp(before)
    await ada.inject({ method: 'POST', url: '/auth/logout' })
    await before.close()

    const after = await build(t, { env })
    const response = await after.inject({ url: '/secret', headers: { authorization: `Bearer ${ada.access_token}` } })

    t.equal(response.statusCode, 401)
    t.equal(response.json().code, 'token_revoked')
  })

  t.test('keeps what is revoked twice as it was', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, clock)
    const until = clock.now() + 1000

    await db.revocations.add('a token', until)
    await db.revocations.add('a token', until + 1000)

    t.same(db.revocations.since(0), [{ sequence: 1, kind: 'jti', revokedId: 'a token', until }])
    t.equal(blocklist.has('a token'), true)
  })

  t.test('forgets what has expired, in memory, and on disk a day later, and nothing else', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, clock)
    await db.revocations.add('short', clock.now() + 1000)
    await db.revocations.add('long', clock.now() + (DAY + MINUTE) * 1000)
    t.equal(blocklist.has('short'), true)

    clock.advance(1 + MINUTE)
    await blocklist.prune()
    t.equal(blocklist.has('short'), false)
    t.equal(blocklist.has('long'), true)
    t.equal(db.revocations.since(0).length, 2)

    clock.advance(DAY - MINUTE)
    await blocklist.prune()
    assertList(t, db.revocations.since(0), [{ revokedId: 'long' }])
  })

  t.test('learns what is new after it has forgotten all that was old', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, { now: clock.now })
    await db.revocations.add('old', clock.now() + 1000)
    t.equal(blocklist.has('old'), true)
    clock.advance(1 + DAY)
    await blocklist.prune()
    t.same(db.revocations.since(0), [])

    await db.revocations.add('new', clock.now() + 1000)

    t.equal(blocklist.has('new'), true)
  })

  t.test('knows every one of many, and no other, until most of them have expired', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, { now: clock.now })
    const idsOf = (count: number) => Array.from({ length: count }, () => randomBytes(16).toString('base64url'))
    const [short, long, others] = [idsOf(2000), idsOf(3000), idsOf(5000)]
    const kid = randomBytes(32).toString('base64url')

    await Promise.all(short.map((id) => db.revocations.add(id, clock.now() + 1000)))
    await Promise.all([...long, kid].map((id) => db.revocations.add(id, clock.now() + 2 * MINUTE * 1000)))
    const revoked = () => [short, long, [kid], others].map((ids) => ids.filter(blocklist.has).length)

    t.same(revoked(), [2000, 3000, 1, 0])
    clock.advance(1 + MINUTE)
    await blocklist.prune()
    t.same(revoked(), [0, 3000, 1, 0])
    clock.advance(2 * MINUTE)
    await blocklist.prune()
    t.same(revoked(), [0, 0, 0, 0])
  })

  t.test('has another revision once something was revoked, and only then', async (t) => {
    const { blocklist, db } = await build(t)
    const before = blocklist.revision()

    await db.probe.run(1)
    t.equal(blocklist.revision(), before)
    await db.revocations.add('a token', Date.now() + 1000)

    t.ok(blocklist.revision() > before)
  })

  t.test('lets nobody in while it cannot be read', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)

    await server.db.close()
    await stat('.') // until something comes from outside, nothing new can have been revoked
    const response = await ada.inject({ url: '/secret' })

    t.ok(response.statusCode >= 500)
    t.notMatch(response.body, '42')
    for (let i = 0; i < 2; i++) t.throws(() => server.accessTokens.verify(ada.access_token), /not open/) // in one turn
  })
})

t.test('A token that was revoked stays so', async (t) => {
  /** A service of which somebody has logged out, and what can happen to it. */
  async function prepare (t: Test, env: Record<string, string> = {}) {
    const clock = createClock()
    const settings = { env: { DATABASE_URL: databaseUrl(t), DOCS: 'off', ...env }, ...clock }
    let server = await build(t, settings)
    const ada = await signUp(server)
    await ada.inject({ method: 'POST', url: '/auth/logout' })

    return {
      clock,
      async runJobs () {
        await server.blocklist.prune()
        await server.sessions.prune()
      },
      async restart () {
        await server.db.serviceState.record({ FORGET_FROM: String(server.forgetBefore(0)) }, clock.now()) // as the job does each minute
        await server.close()
        server = await build(t, settings)
      },
      async assertRevoked () {
        const response = await server.inject({ url: '/secret', headers: bearer(ada.access_token) })
        assertRefused(t, response, 401, response.json().code === 'token_expired' ? 'token_expired' : 'token_revoked')
        return response.json().code
      }
    }
  }

  for (const [name, seconds] of Object.entries({ '20 minutes': 20 * MINUTE, 'a day': DAY, 'a year': YEAR })) {
    for (const restarts of [false, true]) {
      t.test(`when the clock was ahead by ${name} for a minute${restarts ? ', with restarts between' : ''}`, async (t) => {
        const { clock, runJobs, restart, assertRevoked } = await prepare(t)
        clock.set(seconds)
        for (let i = 0; i < 2; i++) {
          clock.advance(30)
          await runJobs()
          if (restarts) await restart()
          t.equal(await assertRevoked(), 'token_expired')
        }

        clock.set(-seconds)

        t.equal(await assertRevoked(), 'token_revoked')
        if (restarts) await restart()
        t.equal(await assertRevoked(), 'token_revoked')
      })
    }
  }

  t.test('when the clock is set back after the token has expired', async (t) => {
    const { clock, runJobs, restart, assertRevoked } = await prepare(t, { ACCESS_TOKEN_TTL: '30s' })
    clock.advance(100)
    await runJobs()
    t.equal(await assertRevoked(), 'token_expired')

    clock.set(-85)
    t.equal(await assertRevoked(), 'token_revoked')
    await restart()
    t.equal(await assertRevoked(), 'token_revoked')
  })
})

t.test('A clock that stays ahead', async (t) => {
  t.test('is believed after a day', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, clock)
    await db.revocations.add('a token', clock.now() + 3 * DAY * 1000)

    clock.set(YEAR)
    await blocklist.prune()
    clock.advance(DAY - 1)
    await blocklist.prune()
    t.equal(db.revocations.since(0).length, 1)
    clock.advance(2)
    await blocklist.prune()

    t.equal(db.revocations.since(0).length, 0)
  })
})
