import t from 'tap'
import { build, createClock, signUp } from '../helper.ts'

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
