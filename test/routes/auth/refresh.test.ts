import t from 'tap'
import { timesOf } from '../../../plugins/accounts/session-times.ts'
import { NO_HOLD, assertList, assertRefused, bearer, build, buildShared, createClock, createLog, databaseUrl, signIn, signUp, stored } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'

/** On PostgreSQL other processes may have seen a token in use, so that every one counts as used. */
const ofOneProcess = { skip: process.env.TEST_POSTGRES !== undefined && 'a process is never alone' }

const MINUTE = 60
const DAY = 24 * 60 * MINUTE

const clock = createClock()
const server = await buildShared(t, { now: clock.now })

t.test('POST /auth/refresh', async (t) => {
  t.test('trades a refresh token for a new pair, as Bearer', async (t) => {
    const ada = await signUp(server)
    clock.advance(14 * MINUTE)

    const response = await server.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(ada.refresh_token) })

    t.equal(response.statusCode, 200)
    t.equal(response.headers['cache-control'], 'no-store')
    const { access_token: accessToken, refresh_token: refreshToken, ...rest } = response.json()
    t.strictSame(rest, { token_type: 'Bearer', expires_in: 15 * MINUTE, refresh_token_expires_in: 30 * DAY })
    t.match(refreshToken, /^prt_[\w-]{70}$/)
    t.not(refreshToken, ada.refresh_token)
    clock.advance(14 * MINUTE)
    t.equal(await statusOfSecret(server, accessToken), 200)
  })

  t.test('takes the refresh token in the body too: as JSON or as a form', async (t) => {
    const ada = await signUp(server)

    const first = await ada.refresh()
    const second = await server.inject({
      method: 'POST',
      url: '/auth/refresh',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ refresh_token: first.json().refresh_token }).toString()
    })

    t.equal(first.statusCode, 200)
    t.equal(second.statusCode, 200)
  })

  t.test('goes on with the same session, whose older access tokens stay good', async (t) => {
    const ada = await signUp(server)
    const [before] = (await stored(server)).sessions

    const { access_token: accessToken } = (await ada.refresh()).json()

    const { sessions } = await stored(server)
    assertList(t, sessions, [{ id: before!.id, generation: 1 }])
    t.equal(sidOf(accessToken), before!.id)
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
  })

  t.test('has the roles that the account has', async (t) => {
    await signUp(server, { username: 'ada' })
    const [user] = (await stored(server)).users
    await server.db.users.update(user!.id, { roles: ['editor'] }, NO_HOLD)

    const { access_token: accessToken } = (await (await signIn(server, 'ada')).refresh()).json()

    t.strictSame((await server.accessTokens.verify(accessToken)).roles, ['editor'])
  })

  t.test('gives the same next token, for a few seconds, to a client that lost the answer', async (t) => {
    const ada = await signUp(server)
    const first = (await ada.refresh()).json()
    clock.advance(9)

    const response = await ada.refresh()

    t.equal(response.statusCode, 200)
    t.equal(response.json().refresh_token, first.refresh_token)
    t.equal(response.json().expires_in, 15 * MINUTE - 9)
    t.equal(await statusOfSecret(server, response.json().access_token), 200)
    assertList(t, (await stored(server)).sessions, [{ generation: 1 }])
    t.equal((await ada.refresh(first.refresh_token)).statusCode, 200)
  })

  t.test('gives fifty requests at the same moment the same next token, and ends no session', async (t) => {
    const ada = await signUp(server)

    const responses = await Promise.all(Array.from({ length: 50 }, () => ada.refresh()))

    t.ok(responses.every(({ statusCode }) => statusCode === 200))
    const next = new Set(responses.map((response) => response.json().refresh_token))
    t.equal(next.size, 1)
    assertList(t, (await stored(server)).sessions, [{ generation: 1 }])
    for (const response of responses) t.equal(await statusOfSecret(server, response.json().access_token), 200)
    const ids = await Promise.all(responses.map(async (response) => (await server.accessTokens.verify(response.json().access_token)).jti))
    t.equal(new Set(ids).size, 1, 'however often it is asked, there is one token more')
    t.equal((await ada.refresh([...next][0])).statusCode, 200)
  })

  t.test('ends the session when another place uses a token again, once the new access token was seen in use', async (t) => {
    const server = await build(t, { now: clock.now })
    const elsewhere = { 'user-agent': 'another' }
    const ada = await signUp(server)
    const { access_token: next } = (await ada.refresh()).json()
    t.equal(await statusOfSecret(server, next), 200)

    const replay = await server.inject({ method: 'POST', url: '/auth/refresh', headers: { ...bearer(ada.refresh_token), ...elsewhere } })

    assertRefused(t, replay, 401, 'token_revoked')
    t.equal(await statusOfSecret(server, next), 401)
  })

  t.test('gives the next tokens to a client that moved and lost the answer, once, and warns', ofOneProcess, async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { now: clock.now, logger })
    const ada = await signUp(server)
    const lost = (await ada.refresh()).json()
    const elsewhere = (token: string) => server.inject({ method: 'POST', url: '/auth/refresh', headers: { ...bearer(token), 'user-agent': 'another' } })

    const moved = await elsewhere(ada.refresh_token)

    t.equal(moved.statusCode, 200)
    t.not(moved.json().refresh_token, lost.refresh_token)
    t.equal((await elsewhere(moved.json().refresh_token)).statusCode, 200)
    assertList(t, lines.filter(({ level }) => level === 40), [{ event: 'refreshed_elsewhere' }])
    t.match((await server.auditLog.list({ limit: 10, event: 'refreshed_elsewhere' })).events, [{ outcome: 'rotated_elsewhere' }])
  })

  t.test('ends the session when two use what one of them lost', ofOneProcess, async (t) => {
    const ada = await signUp(server)
    const { refresh_token: next } = (await ada.refresh()).json()
    const thief = await server.inject({ method: 'POST', url: '/auth/refresh', headers: { ...bearer(ada.refresh_token), 'user-agent': 'the thief\'s' } })
    t.equal(thief.statusCode, 200)

    assertRefused(t, await ada.refresh(next), 401, 'token_revoked')
    t.equal(await statusOfSecret(server, thief.json().access_token), 401)
  })

  t.test('takes two addresses of one /64 for one place', async (t) => {
    const ada = await signUp(server)
    const from = (remoteAddress: string) => server.inject({ method: 'POST', url: '/auth/refresh', remoteAddress, headers: bearer(ada.refresh_token) })
    const { access_token: token } = (await from('2001:db8::1')).json()
    t.equal(await statusOfSecret(server, token), 200)

    t.equal((await from('2001:db8::77')).statusCode, 200, 'another tab, with another privacy address')
    t.equal((await from('2001:db8:0:1::77')).statusCode, 401)
  })

  t.test('finds out a thief who follows the owner\'s session', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const owner = await signUp(server)
    const thief = { 'user-agent': 'the thief\'s' }
    let [held, stolen] = [owner.refresh_token, owner.refresh_token]
    let isOver = false

    for (let round = 0; !isOver && round < 3; round++) {
      clock.advance(600)
      const refreshed = (await owner.refresh(held)).json()
      held = refreshed.refresh_token
      await statusOfSecret(server, refreshed.access_token)
      clock.advance(3)
      const followed = await server.inject({ method: 'POST', url: '/auth/refresh', headers: { ...bearer(stolen), ...thief } })
      isOver = followed.statusCode === 401
      stolen = followed.json().refresh_token
    }

    t.ok(isOver)
    assertRefused(t, await owner.refresh(held), 401, 'token_revoked')
  })

  t.test('counts every new access token as used where other processes may have seen it', async (t) => {
    const server = await build(t, { env: { WORKERS: '2' } })
    const ada = await signUp(server)
    await ada.refresh()

    const replay = await server.inject({ method: 'POST', url: '/auth/refresh', headers: { ...bearer(ada.refresh_token), 'user-agent': 'another' } })

    assertRefused(t, replay, 401, 'token_revoked')
  })

  t.test('takes the token of the body, whatever Authorization holds', async (t) => {
    const ada = await signUp(server)

    for (const authorization of ['Bearer undefined', `Bearer ${ada.access_token}`, 'Bearer', 'Basic YTpi']) {
      const response = await server.inject({ method: 'POST', url: '/auth/refresh', headers: { authorization }, payload: { refresh_token: ada.refresh_token } })
      t.equal(response.statusCode, 200, authorization)
    }
  })

  t.test('ends the session of a token that is used again after the grace, and logs a warning', async (t) => {
    const clock = createClock()
    const { lines, logger } = createLog()
    const server = await build(t, { now: clock.now, logger })
    const ada = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    const thief = (await ada.refresh()).json()
    clock.advance(10)

    assertRefused(t, await ada.refresh(), 401, 'token_revoked')

    for (const token of [ada.access_token, thief.access_token]) {
      const response = await server.inject({ url: '/secret', headers: bearer(token) })
      assertRefused(t, response, 401, 'token_revoked')
    }
    assertRefused(t, await ada.refresh(thief.refresh_token), 401, 'token_revoked')
    t.equal((await laptop.inject({ url: '/secret' })).statusCode, 200, 'other sessions go on')
    t.equal((await laptop.refresh()).statusCode, 200)
    assertList(t, lines.filter(({ level }) => level === 40), [
      { event: 'reuse_detected', user: ada.user.id, session: sidOf(ada.access_token), generation: 0, current: 1, ip: '127.0.0.1' }
    ])
  })

  t.test('ends the session of a token that is two uses old, even within the grace', async (t) => {
    const ada = await signUp(server)
    const first = (await ada.refresh()).json()
    await ada.refresh(first.refresh_token)

    assertRefused(t, await ada.refresh(), 401, 'token_revoked')

    t.strictSame((await stored(server)).sessions, [])
  })

  t.test('gives no grace with REFRESH_GRACE=0s', async (t) => {
    const server = await build(t, { env: { REFRESH_GRACE: '0s' } })
    const ada = await signUp(server)

    const responses = [await ada.refresh(), await ada.refresh()]

    t.equal(responses[0]!.statusCode, 200)
    assertRefused(t, responses[1]!, 401, 'token_revoked')
  })

  t.test('refuses a session that was idle too long; each use gives it its time anew', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { REFRESH_TOKEN_TTL: '1h' }, now: clock.now })
    const ada = await signUp(server)

    clock.advance(59 * MINUTE)
    const used = await ada.refresh()
    clock.advance(59 * MINUTE)
    const usedAgain = await ada.refresh(used.json().refresh_token)
    clock.advance(60 * MINUTE)
    const response = await ada.refresh(usedAgain.json().refresh_token)

    t.equal(used.statusCode, 200)
    t.equal(usedAgain.statusCode, 200)
    assertRefused(t, response, 401, 'token_expired')
  })

  t.test('refuses a session that is too old, however busy', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { REFRESH_TOKEN_TTL: '1h', SESSION_MAX_AGE: '90m' }, now: clock.now })
    const ada = await signUp(server)

    clock.advance(50 * MINUTE)
    const used = (await ada.refresh()).json()
    clock.advance(39 * MINUTE)
    const usedAgain = (await ada.refresh(used.refresh_token)).json()
    clock.advance(1 * MINUTE)
    const response = await ada.refresh(usedAgain.refresh_token)

    t.equal(used.refresh_token_expires_in, 40 * MINUTE)
    t.equal(usedAgain.refresh_token_expires_in, 1 * MINUTE)
    assertRefused(t, response, 401, 'token_expired')
  })

  t.test('refuses a session that was forgotten', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { REFRESH_TOKEN_TTL: '1h' }, now: clock.now })
    const ada = await signUp(server)
    clock.advance(25 * 60 * MINUTE)
    await server.sessions.prune()

    const response = await ada.refresh()

    assertRefused(t, response, 401, 'token_revoked')
  })

  t.test('refuses an access token', async (t) => {
    const ada = await signUp(server)

    for (const response of await bothWays(server, ada.access_token)) assertRefused(t, response, 401, 'wrong_token_type')
    t.equal((await ada.refresh()).statusCode, 200)
  })

  t.test('refuses what is no token of this service', async (t) => {
    const { refresh_token: good } = await signUp(server)
    const another = good[20] === 'A' ? 'B' : 'A'
    const bad = ['garbage', 'prt_', 'prt_AAAA', good.slice(0, -4), `${good}AAAA`, good.replace('prt_', ''), `${good.slice(0, 20)}${another}${good.slice(21)}`]

    for (const token of bad) {
      for (const response of await bothWays(server, token)) {
        assertRefused(t, response, 401, 'invalid_token')
        t.match(response.headers['www-authenticate'], /^Bearer error="invalid_token", error_description="/)
      }
    }
  })

  t.test('refuses a token of another service', async (t) => {
    const [here, there] = [await build(t), await build(t)]
    const { refresh_token: refreshToken } = await signUp(there)

    for (const response of await bothWays(here, refreshToken)) assertRefused(t, response, 401, 'invalid_token')
  })

  t.test('asks for a token where there is none', async (t) => {
    for (const payload of [undefined, {}]) {
      const response = await server.inject({ method: 'POST', url: '/auth/refresh', payload })

      assertRefused(t, response, 401, 'missing_token')
      t.equal(response.headers['www-authenticate'], 'Bearer')
    }
  })

  t.test('refuses a session that has very many good access tokens, until one expires', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { RATE_LIMIT: 'on' }, now: clock.now })
    const sid = sidOf((await signUp(server)).access_token)
    const now = clock.now()
    const rotation = { now, grace: 0, timesOf: (createdAt: number) => timesOf(createdAt, now, server.config), mostLiveTokens: Infinity, place: { ip: '', userAgent: null }, isSamePlace: () => true, isInUse: () => false }
    for (let generation = 0; generation < 127; generation++) await server.db.sessions.rotate(sid, generation, rotation)
    const token = server.refreshTokens.make(sid, 127)

    clock.advance(1)
    const refused = await send(server, token)
    clock.advance(899)
    const refreshed = await send(server, token)

    assertRefused(t, refused, 429, 'rate_limited')
    t.equal(refused.headers['retry-after'], '899')
    t.equal(refreshed.statusCode, 200)
  })

  t.test('goes on after a restart as if there had been none', async (t) => {
    const clock = createClock()
    const env = { DATABASE_URL: databaseUrl(t) }
    const before = await build(t, { env, now: clock.now })
    const ada = await signUp(before)
    const { refresh_token: refreshToken } = (await ada.refresh()).json()
    await before.close()
    const after = await build(t, { env, now: clock.now })

    const repeated = await send(after, ada.refresh_token)
    clock.advance(10)
    const refreshed = await send(after, refreshToken)
    const replayed = await send(after, ada.refresh_token)

    t.equal(repeated.json().refresh_token, refreshToken)
    t.equal(refreshed.statusCode, 200)
    assertRefused(t, replayed, 401, 'token_revoked')
  })

  t.test('logs the user and the session, and no token', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })
    const ada = await signUp(server)

    const next = (await ada.refresh()).json()
    await ada.refresh()

    assertList(t, lines.filter(({ event }) => event === 'refreshed'), [
      { level: 30, user: ada.user.id, session: sidOf(ada.access_token), outcome: 'rotated' },
      { level: 30, user: ada.user.id, session: sidOf(ada.access_token), outcome: 'replayed_in_grace' }
    ])
    const log = JSON.stringify(lines)
    for (const token of [ada.refresh_token, next.refresh_token, next.access_token]) t.notOk(log.includes(token))
  })
})

function send (server: FastifyInstance, refreshToken: string) {
  return server.inject({ method: 'POST', url: '/auth/refresh', payload: { refresh_token: refreshToken } })
}

function bothWays (server: FastifyInstance, token: string) {
  return Promise.all([send(server, token), server.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(token) })])
}

async function statusOfSecret (server: FastifyInstance, token: string) {
  const { statusCode } = await server.inject({ url: '/secret', headers: bearer(token) })
  return statusCode
}

function sidOf (accessToken: string): string {
  return JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()).sid
}
