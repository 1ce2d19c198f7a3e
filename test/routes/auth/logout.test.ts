import t from 'tap'
import { assertList, assertOver, assertRefused, bearer, build, buildShared, createClock, createLog, databaseUrl, signIn, signUp, stored } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'

interface Tokens { access_token: string, refresh_token: string }

const ways: Array<[what: string, request: (tokens: Tokens) => object]> = [
  ['the access token', ({ access_token: token }) => ({ headers: bearer(token) })],
  ['the refresh token as Bearer', ({ refresh_token: token }) => ({ headers: bearer(token) })],
  ['the refresh token in the body', ({ refresh_token: token }) => ({ payload: { refresh_token: token } })],
  ['the refresh token in a form', ({ refresh_token: token }) => ({
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({ refresh_token: token }).toString()
  })]
]

const server = await buildShared(t)

t.test('POST /auth/logout', async (t) => {
  for (const [what, request] of ways) {
    t.test(`by ${what}`, async (t) => {
      t.test('kills both tokens, for the very next request', async (t) => {
        const ada = await signUp(server)
        await ada.inject({ url: '/secret' }) // so that the token is remembered as a good one

        const response = await logout(server, request(ada))

        t.equal(response.statusCode, 204)
        t.equal(response.body, '')
        await assertOver(t, server, ada)
      })

      t.test('is a 401 the second time', async (t) => {
        const ada = await signUp(server)
        await logout(server, request(ada))

        const response = await logout(server, request(ada))

        assertRefused(t, response, 401, 'token_revoked')
      })
    })
  }

  t.test('holds after a restart', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const before = await build(t, { env })
    const ada = await signUp(before)
    await ada.inject({ method: 'POST', url: '/auth/logout' })
    await before.close()

    const after = await build(t, { env })

    await assertOver(t, after, ada)
  })

  t.test('holds for another service on the same database', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const [here, there] = [await build(t, { env }), await build(t, { env })]
    const ada = await signUp(here)
    t.equal(await statusOfSecret(there, ada), 200)

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    await assertOver(t, there, ada)
  })

  t.test('kills every access token of the session, not only the newest', async (t) => {
    const ada = await signUp(server)
    const next: Tokens = (await ada.refresh()).json()

    const response = await logout(server, { headers: bearer(next.access_token) })

    t.equal(response.statusCode, 204)
    await assertOver(t, server, ada)
    await assertOver(t, server, next)
  })

  t.test('does not mind a content type without a body', async (t) => {
    const ada = await signUp(server)

    const response = await ada.inject({ method: 'POST', url: '/auth/logout', headers: { 'content-type': 'application/json' }, payload: '' })

    t.equal(response.statusCode, 204)
    await assertOver(t, server, ada)
  })

  t.test('takes a refresh token that is no longer the newest', async (t) => {
    const ada = await signUp(server)
    const next: Tokens = (await ada.refresh()).json()

    const response = await logout(server, { payload: { refresh_token: ada.refresh_token } })

    t.equal(response.statusCode, 204)
    await assertOver(t, server, next)
  })

  t.test('leaves the user\'s other sessions alone', async (t) => {
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')

    await phone.inject({ method: 'POST', url: '/auth/logout' })

    t.equal(await statusOfSecret(server, laptop), 200)
    t.equal((await laptop.refresh()).statusCode, 200)
  })

  t.test('forgets the session, and remembers its end until its last access token has expired', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { ACCESS_TOKEN_TTL: '15m' }, now: clock.now })
    const ada = await signUp(server)
    clock.advance(600)
    await ada.refresh()

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    const { sessions, revocations } = await stored(server)
    t.strictSame(sessions, [])
    assertList(t, revocations, [{ until: clock.now() + 900_000 }])
  })

  t.test('refuses a token that has expired', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const ada = await signUp(server)
    clock.advance(15 * 60)

    const response = await ada.inject({ method: 'POST', url: '/auth/logout' })

    assertRefused(t, response, 401, 'token_expired')
    t.equal((await ada.refresh()).statusCode, 200)
  })

  t.test('refuses what is no token', async (t) => {
    for (const request of [{ headers: bearer('garbage') }, { headers: bearer('prt_garbage') }, { payload: { refresh_token: 'garbage' } }]) {
      assertRefused(t, await logout(server, request), 401, 'invalid_token')
    }
  })

  t.test('asks for a token where there is none', async (t) => {
    for (const request of [{}, { payload: {} }]) {
      const response = await logout(server, request)

      assertRefused(t, response, 401, 'missing_token')
      t.equal(response.headers['www-authenticate'], 'Bearer')
    }
  })

  t.test('logs whose session ended', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })
    const ada = await signUp(server)

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    assertList(t, lines.filter(({ event }) => event === 'logged_out'), [{ level: 30, session: /^[\w-]{22}$/ }])
    t.notOk(JSON.stringify(lines).includes(ada.access_token))
  })
})

t.test('A session that nobody has used for days', async (t) => {
  for (const [what, url] of [['ends', '/auth/logout'], ['ends with all others', '/auth/logout/all']] as const) {
    t.test(`${what}, though the status list of its tokens is gone`, async (t) => {
      const clock = createClock()
      const server = await build(t, { now: clock.now })
      const ada = await signUp(server, { username: 'ada' })
      clock.advance(2 * 86_400)
      t.equal(await server.db.statusLists.prune(clock.now()), 1)
      const again = await signIn(server, 'ada')

      const response = url === '/auth/logout'
        ? await logout(server, { headers: bearer(ada.refresh_token) })
        : await again.inject({ method: 'POST', url })

      t.equal(response.statusCode, 204)
      assertRefused(t, await ada.refresh(), 401, 'token_revoked')
    })
  }
})

t.test('POST /auth/logout/all', async (t) => {
  t.test('ends every session of the user', async (t) => {
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')

    const response = await phone.inject({ method: 'POST', url: '/auth/logout/all' })

    t.equal(response.statusCode, 204)
    for (const tokens of [phone, laptop]) await assertOver(t, server, tokens)
  })

  t.test('ends none of anybody else, and lets the user sign in again', async (t) => {
    const ada = await signUp(server, { username: 'ada' })
    const grace = await signUp(server, { username: 'grace' })

    await ada.inject({ method: 'POST', url: '/auth/logout/all' })

    t.equal(await statusOfSecret(server, grace), 200)
    t.equal((await grace.refresh()).statusCode, 200)
    t.equal(await statusOfSecret(server, await signIn(server, 'ada')), 200)
  })

  t.test('ends a session that was idle for too long but has an access token left', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { REFRESH_TOKEN_TTL: '1m' }, now: clock.now })
    const phone = await signUp(server, { username: 'ada' })
    clock.advance(60)
    await server.sessions.prune()

    await (await signIn(server, 'ada')).inject({ method: 'POST', url: '/auth/logout/all' })

    await assertOver(t, server, phone)
  })

  t.test('takes an access token only', async (t) => {
    const ada = await signUp(server)

    const request = { method: 'POST', url: '/auth/logout/all' } as const
    assertRefused(t, await server.inject(request), 401, 'missing_token')
    assertRefused(t, await server.inject({ ...request, headers: bearer(ada.refresh_token) }), 401, 'wrong_token_type')
    t.equal(await statusOfSecret(server, ada), 200)
  })
})

function logout (server: FastifyInstance, request: object) {
  return server.inject({ method: 'POST', url: '/auth/logout', ...request })
}

async function statusOfSecret (server: FastifyInstance, { access_token: token }: Tokens) {
  const { statusCode } = await server.inject({ url: '/secret', headers: bearer(token) })
  return statusCode
}
