import t from 'tap'
import { PASSWORD, assertList, assertRefused, bearer, build, buildShared, createClock, createLog, signIn, signUp, stored } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'

const COMMON = /easy to guess/
const OWN = /one of your own names/
const SHORT = /too short/

const server = await buildShared(t, { now: createClock().now })

t.test('POST /auth/register', async (t) => {
  t.test('makes an account and signs in to it', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })

    const response = await register(server, { username: 'Ada', email: ' Ada@Example.com ', name: 'Ada Lovelace', password: PASSWORD })

    t.equal(response.statusCode, 201)
    t.equal(response.headers['cache-control'], 'no-store')
    const { access_token: accessToken, refresh_token: refreshToken, user: { id, ...user }, ...rest } = response.json()
    t.match(id, /^[\w-]{22}$/)
    t.strictSame(user, { username: 'Ada', email: 'ada@example.com', name: 'Ada Lovelace', roles: [], disabled: false, created_at: '2026-11-21T12:00:00.000Z' })
    t.strictSame(rest, { token_type: 'Bearer', expires_in: 15 * 60, refresh_token_expires_in: 30 * 24 * 3600 })
    t.equal((await server.inject({ url: '/secret', headers: bearer(accessToken) })).statusCode, 200)
    t.equal((await server.inject({ method: 'POST', url: '/auth/refresh', payload: { refresh_token: refreshToken } })).statusCode, 200)
  })

  t.test('takes a form as well as JSON', async (t) => {
    const response = await server.inject({
      method: 'POST',
      url: '/auth/register',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ username: 'ada', email: 'ada+tag@example.com', password: 'seven & yellow = 100%' }).toString()
    })

    t.equal(response.statusCode, 201)
    t.match(response.json().user, { username: 'ada', email: 'ada+tag@example.com' })
    t.ok(await signIn(server, 'ada', 'seven & yellow = 100%'))
  })

  t.test('accepts a username alone', async (t) => {
    const response = await register(server, { username: 'ada', password: PASSWORD })

    t.match(response.json().user, { username: 'ada', email: null, name: null })
  })

  t.test('accepts an e-mail address alone', async (t) => {
    const response = await register(server, { email: 'ada@example.com', password: PASSWORD })

    t.match(response.json().user, { username: null, email: 'ada@example.com', name: null })
  })

  t.test('refuses a registration without a name', async (t) => {
    const response = await register(server, { name: 'Ada', password: PASSWORD })

    assertRefused(t, response, 400, 'validation_failed')
    t.match(response.json().errors, [{ pointer: '', detail: 'must have username or email' }])
    t.strictSame((await stored(server)).users, [])
  })

  t.test('refuses everybody while registration is closed', async (t) => {
    const server = await build(t, { env: { REGISTRATION: 'closed' } })

    const response = await register(server, { username: 'ada', password: PASSWORD })

    assertRefused(t, response, 403, 'registration_closed')
    t.strictSame((await stored(server)).users, [])
  })

  const spellings = [
    { taken: { username: 'ada' }, by: { username: 'ADA' }, code: 'username_taken', what: 'a username in other letter case' },
    { taken: { username: 'grace' }, by: { username: 'ｇｒａｃｅ' }, code: 'username_taken', what: 'a username in full-width letters' },
    { taken: { username: 'zoe\u0308' }, by: { username: 'zo\u00eb' }, code: 'username_taken', what: 'a username in another Unicode form' },
    { taken: { email: 'ada@example.com' }, by: { email: 'Ada@EXAMPLE.com' }, code: 'email_taken', what: 'an e-mail address in other letter case' },
    { taken: { email: 'grace@example.com' }, by: { email: ' \tgrace@example.com ' }, code: 'email_taken', what: 'an e-mail address with spaces around it' }
  ]
  t.test('refuses a name that is taken, and writes nothing:', async (t) => {
    for (const { taken, by, code, what } of spellings) {
      t.test(what, async (t) => {
        await signUp(server, taken)
        const before = await stored(server)

        const response = await register(server, { ...by, password: PASSWORD })

        assertRefused(t, response, 409, code)
        t.strictSame(await stored(server), before)
      })
    }
  })

  t.test('hashes no password for a name that is taken', async (t) => {
    await signUp(server, { username: 'ada', email: 'ada@example.com' })
    const hashes = t.capture(server.passwords, 'hash', server.passwords.hash)

    for (const names of [{ username: 'Ada' }, { username: 'bea', email: 'Ada@Example.com' }]) {
      const response = await server.inject({ method: 'POST', url: '/auth/register', payload: { ...names, password: PASSWORD } })
      t.equal(response.statusCode, 409)
    }

    t.equal(hashes().length, 0)
  })

  t.test('refuses a taken e-mail address though the username is free, and leaves the username free', async (t) => {
    await signUp(server, { email: 'ada@example.com' })

    const response = await register(server, { username: 'ada', email: 'ada@example.com', password: PASSWORD })

    assertRefused(t, response, 409, 'email_taken')
    t.equal((await register(server, { username: 'ada', password: PASSWORD })).statusCode, 201)
  })

  t.test('gives a name to one of two registrations at the same moment', async (t) => {
    const responses = await Promise.all(['ada', 'ADA'].map((username) => register(server, { username, password: PASSWORD })))

    t.strictSame(responses.map(({ statusCode }) => statusCode).sort(), [201, 409])
    const { users, sessions } = await stored(server)
    t.equal(users.length, 1)
    t.equal(sessions.length, 1)
  })

  const weak: Array<[password: string, reason: RegExp, what: string]> = [
    ['umbrel1', SHORT, 'short'],
    ['😀😁😂🤣😃😄😅', SHORT, 'of seven characters, though they are 14 UTF-16 units'],
    ['password1', COMMON, 'common'],
    ['PassWord1', COMMON, 'common in other letter case'],
    ['dragondragondragon', COMMON, 'a common one written twice'],
    ['ababababab', COMMON, 'a few characters again and again'],
    ['Ada-Lovelace', OWN, 'the username'],
    ['countess@example.com', OWN, 'the e-mail address'],
    ['Countess', OWN, 'the name in the e-mail address'],
    ['augusta ada king', OWN, 'the display name']
  ]
  t.test('refuses a weak password, says why, and writes nothing:', async (t) => {
    for (const [password, reason, what] of weak) {
      t.test(what, async (t) => {
        const response = await register(server, { username: 'ada-lovelace', email: 'countess@example.com', name: 'Augusta Ada King', password })

        assertRefused(t, response, 422, 'weak_password')
        t.match(response.json().detail, reason)
        t.strictSame((await stored(server)).users, [])
      })
    }
  })

  t.test('takes a passphrase without capitals, digits or signs', async (t) => {
    const response = await register(server, { username: 'ada', password: 'sieben gelbe schirme' })

    t.equal(response.statusCode, 201)
  })

  t.test('requires the length that PASSWORD_MIN_LENGTH sets', async (t) => {
    const server = await build(t, { env: { PASSWORD_MIN_LENGTH: '15' } })

    t.match((await register(server, { username: 'ada', password: 'yellow umbrell' })).json(), { status: 422, detail: /at least 15 characters/ })
    t.equal((await register(server, { username: 'ada', password: 'yellow umbrella' })).statusCode, 201)
  })

  t.test('refuses fields that a client may not set', async (t) => {
    const choices = { id: 'AAAAAAAAAAAAAAAAAAAAAA', role: 'admin', roles: ['admin'], disabled: false, created_at: '2000-01-01T00:00:00Z', password_hash: 'x' }

    for (const [field, value] of Object.entries(choices)) {
      const response = await register(server, { username: 'ada', password: PASSWORD, [field]: value })

      assertRefused(t, response, 400, 'validation_failed')
      t.strictSame(response.json().errors, [{ pointer: `/${field}`, detail: 'is not a known field' }])
    }
    t.strictSame((await stored(server)).users, [])
  })

  t.test('refuses an address that asks too often, and says when to come back', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '1/1m' } })
    await signUp(server, { username: 'ada' })

    const response = await register(server, { username: 'grace', password: PASSWORD })

    assertRefused(t, response, 429, 'rate_limited')
    t.match(response.headers, { 'retry-after': /^(5\d|60)$/, 'ratelimit-limit': '1', 'ratelimit-remaining': '0' })
    t.equal((await stored(server)).users.length, 1)
  })

  t.test('logs the registration, and no secret', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })

    const { user, access_token: accessToken, refresh_token: refreshToken } = await signUp(server)

    assertList(t, lines.filter(({ event }) => event), [{ level: 30, event: 'registered', user: user.id, session: String, ip: '127.0.0.1' }])
    const log = JSON.stringify(lines)
    for (const secret of [PASSWORD, accessToken, refreshToken, '$argon2']) t.notOk(log.includes(secret))
  })
})

function register (server: FastifyInstance, payload: object) {
  return server.inject({ method: 'POST', url: '/auth/register', payload })
}
