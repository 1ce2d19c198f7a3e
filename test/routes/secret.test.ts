import t from 'tap'
import { bearer, build, createClock, databaseUrl, signUp } from '../helper.ts'
import type { Test } from 'tap'

t.test('GET /secret', async (t) => {
  t.test('opens with a good access token', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)

    const response = await ada.inject({ url: '/secret' })

    t.equal(response.statusCode, 200)
    t.same(response.json(), { answer: 42 })
  })

  t.test('stays shut without a token', async (t) => {
    const server = await build(t)

    const response = await server.inject({ url: '/secret' })

    t.equal(response.statusCode, 401)
    t.equal(response.headers['www-authenticate'], 'Bearer')
    t.match(response.headers['content-type'], /^application\/problem\+json/)
    t.match(response.json(), { status: 401, title: 'Unauthorized', code: 'missing_token' })
  })

  t.test('stays shut from the second at which the token expires, though the token is remembered', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { ACCESS_TOKEN_TTL: '5m' }, now: clock.now })
    const ada = await signUp(server)

    clock.advance(299)
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
    clock.advance(1)
    const response = await ada.inject({ url: '/secret' })

    t.equal(response.statusCode, 401)
    t.equal(response.json().code, 'token_expired')
    t.match(response.headers['www-authenticate'], /^Bearer error="invalid_token", error_description="/)
  })
})

t.test('When the clock of the service is set', async (t) => {
  async function prepare (t: Test) {
    const clock = createClock()
    const settings = { env: { DATABASE_URL: databaseUrl(t), DOCS: 'off' }, ...clock }
    const server = await build(t, settings)
    const statusOf = async (token: string, service = server) => (await service.inject({ url: '/secret', headers: bearer(token) })).statusCode
    return { clock, server, statusOf, another: () => build(t, settings) }
  }

  t.test('a token is good though it was set back five minutes before a restart, and expires when it says', async (t) => {
    const { clock, server, statusOf, another } = await prepare(t)
    const { access_token: token } = await signUp(server)
    await server.close()
    clock.set(-300)
    const service = await another()

    t.equal(await statusOf(token, service), 200)
    clock.advance(300 + 15 * 60 - 1)
    t.equal(await statusOf(token, service), 200)
    clock.advance(1)
    t.equal(await statusOf(token, service), 401)
  })

  t.test('a token that was issued while it was far ahead opens nothing when it is right again', async (t) => {
    const { clock, server, statusOf, another } = await prepare(t)
    clock.set(86_400)
    const { access_token: token } = await signUp(server)
    t.equal(await statusOf(token), 200)
    clock.set(-86_400)

    t.equal(await statusOf(token), 401)
    t.equal(await statusOf(token, await another()), 401)
  })
})
