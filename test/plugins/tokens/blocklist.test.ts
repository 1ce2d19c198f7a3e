import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import t from 'tap'
import { inBatches } from '../../db/contract/rows.ts'
import { assertList, assertRefused, bearer, build, createClock, databaseUrl, signUp } from '../../helper.ts'
import type { Test } from 'tap'
import type { Blocklist } from '../../../plugins/tokens/blocklist.ts'

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

    t.match(await db.revocations.since(0), [{ kind: 'jti', revokedId: 'a token', until }])
    t.equal((await db.revocations.since(0)).length, 1)
    t.equal(await isRevoked(blocklist, 'a token'), true)
  })

  t.test('forgets what has expired, in memory, and on disk a day later, and nothing else', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, clock)
    await db.revocations.add('short', clock.now() + 1000)
    await db.revocations.add('long', clock.now() + (DAY + MINUTE) * 1000)
    t.equal(await isRevoked(blocklist, 'short'), true)

    clock.advance(1 + MINUTE)
    await blocklist.prune()
    t.equal(await isRevoked(blocklist, 'short'), false)
    t.equal(await isRevoked(blocklist, 'long'), true)
    t.equal((await db.revocations.since(0)).length, 2)

    clock.advance(DAY - MINUTE)
    await blocklist.prune()
    assertList(t, await db.revocations.since(0), [{ revokedId: 'long' }])
  })

  t.test('learns what is new after it has forgotten all that was old', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, { now: clock.now })
    await db.revocations.add('old', clock.now() + 1000)
    t.equal(await isRevoked(blocklist, 'old'), true)
    clock.advance(1 + DAY)
    await blocklist.prune()
    t.same(await db.revocations.since(0), [])

    await db.revocations.add('new', clock.now() + 1000)

    t.equal(await isRevoked(blocklist, 'new'), true)
  })

  t.test('knows every one of many, and no other, until most of them have expired', async (t) => {
    const clock = createClock()
    const { blocklist, db } = await build(t, { now: clock.now })
    const idsOf = (count: number) => Array.from({ length: count }, () => randomBytes(16).toString('base64url'))
    const [short, long, others] = [idsOf(2000), idsOf(3000), idsOf(5000)]
    const kid = randomBytes(32).toString('base64url')

    await inBatches(short.length, (i) => db.revocations.add(short[i]!, clock.now() + 1000))
    const kept = [...long, kid]
    await inBatches(kept.length, (i) => db.revocations.add(kept[i]!, clock.now() + 2 * MINUTE * 1000))
    async function revoked () {
      await blocklist.freshen()
      return [short, long, [kid], others].map((ids) => ids.filter(blocklist.has).length)
    }

    t.same(await revoked(), [2000, 3000, 1, 0])
    clock.advance(1 + MINUTE)
    await blocklist.prune()
    t.same(await revoked(), [0, 3000, 1, 0])
    clock.advance(2 * MINUTE)
    await blocklist.prune()
    t.same(await revoked(), [0, 0, 0, 0])
  })

  t.test('has another revision once something was revoked, and only then', async (t) => {
    const { blocklist, db } = await build(t)
    async function revision () {
      await blocklist.freshen()
      return blocklist.revision()! // it is, as nothing comes between
    }
    const before = await revision()

    await db.probe(1)
    t.equal(await revision(), before)
    await db.revocations.add('a token', Date.now() + 1000)

    t.ok(await revision() > before)
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
    for (let i = 0; i < 2; i++) await t.rejects(async () => server.accessTokens.verify(ada.access_token))
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

t.test('A token that was revoked is refused, and a good one let in, at the first look after the clock was set back', async (t) => {
  const clock = createClock()
  const server = await build(t, clock)
  const [ada, bea] = [await signUp(server), await signUp(server)]
  await ada.inject({ method: 'POST', url: '/auth/logout' })
  clock.advance(5 * MINUTE)
  await server.blocklist.prune()
  clock.set(-5 * MINUTE)

  const [refused, admitted] = await Promise.all([ada.inject({ url: '/secret' }), bea.inject({ url: '/secret' }), server.blocklist.freshen(), server.blocklist.prune()])

  assertRefused(t, refused, 401, 'token_revoked')
  t.equal(admitted.statusCode, 200)
})

t.test('Nobody is let in by a clock that runs backwards, and a refusal says when to come back', async (t) => {
  const clock = createClock()
  let [step, behind] = [0, 0]
  const server = await build(t, { ...clock, now: () => clock.now() - (behind += step) })
  const ada = await signUp(server)

  step = 61_000
  const response = await ada.inject({ url: '/secret' })
  step = behind = 0

  assertRefused(t, response, 503, 'database_unavailable')
  t.equal(response.headers['retry-after'], '1')
  t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
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
    t.equal((await db.revocations.since(0)).length, 1)
    clock.advance(2)
    await blocklist.prune()

    t.equal((await db.revocations.since(0)).length, 0)
  })
})

/** Tells what the blocklist says of an id once it knows all that was revoked until now. */
async function isRevoked (blocklist: Blocklist, id: string) {
  await blocklist.freshen()
  return blocklist.has(id)
}
