import t from 'tap'
import { PASSWORD, build, createClock, signUp } from '../helper.ts'
import type { InjectOptions } from 'fastify'
import type { Test } from 'tap'

const GATEWAY = '10.1.2.3'

/** A service whose passwords can be tried, and how. */
async function attacked (t: Test, env: Record<string, string>) {
  const server = await build(t, { env: { DOCS: 'off', RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '1000/1m', RATE_LIMIT_ACCOUNT: '1000/1m', ...env } })
  const login = (from: string, request: InjectOptions = {}) => server.inject({
    method: 'POST', url: '/auth/login', remoteAddress: from, payload: { username: 'nobody', password: PASSWORD }, ...request
  })
  const statusFor = async (from: string, forwardedFor = '') => (await login(from, { headers: { 'x-forwarded-for': forwardedFor } })).statusCode
  return { server, login, statusFor }
}

t.test('RATE_LIMIT_ADDRESS', async (t) => {
  const { server, statusFor } = await attacked(t, { RATE_LIMIT_ADDRESS: '1/1m' })

  t.test('bounds the requests from one address, and says in headers how', async (t) => {
    const { login } = await attacked(t, { RATE_LIMIT_ADDRESS: '2/1m' })

    const [first, second, third, fourth] = [await login('192.0.2.1'), await login('192.0.2.1'), await login('192.0.2.1'), await login('192.0.2.1')]

    t.same([first, second, third, fourth].map(({ statusCode }) => statusCode), [401, 401, 429, 429])
    t.match(first.headers, { 'ratelimit-limit': '2', 'ratelimit-remaining': '1', 'ratelimit-reset': '60' })
    t.match(second.headers, { 'ratelimit-limit': '2', 'ratelimit-remaining': '0', 'ratelimit-reset': /^\d\d$/ })
    t.match(third.headers, { 'ratelimit-limit': '2', 'ratelimit-remaining': '0', 'ratelimit-reset': /^\d\d$/, 'retry-after': /^\d\d$/ })
    t.equal(first.headers['retry-after'], undefined)
    t.match(third.headers['content-type'], /^application\/problem\+json/)
    t.match(third.json(), { status: 429, code: 'rate_limited' })
  })

  t.test('leaves other addresses alone', async (t) => {
    t.equal(await statusFor('192.0.2.1'), 401)
    t.equal(await statusFor('192.0.2.2'), 401)
    t.equal(await statusFor('192.0.2.1'), 429)
  })

  t.test('counts IPv6 by the network of one household, and IPv4 in IPv6 as IPv4', async (t) => {
    t.equal(await statusFor('2001:db8:0:1::1'), 401)
    t.equal(await statusFor('2001:db8:0:1:ffff:ffff:ffff:ffff'), 429)
    t.equal(await statusFor('2001:db8:0:2::1'), 401)
    t.equal(await statusFor('192.0.2.3'), 401)
    t.equal(await statusFor('::ffff:192.0.2.3'), 429)
  })

  t.test('is over after its time', async (t) => {
    const clock = createClock()
    t.intercept(Date, 'now', { value: clock.now })
    t.equal(await statusFor('192.0.2.4'), 401)

    clock.advance(59)
    t.equal(await statusFor('192.0.2.4'), 429)
    clock.advance(1)
    t.equal(await statusFor('192.0.2.4'), 401)
  })

  t.test('counts everything together that takes a password, makes an account or tells whether a name is taken, and nothing else', async (t) => {
    const ada = await signUp(server)
    const change = { current_password: PASSWORD, new_password: PASSWORD }

    t.equal(await statusFor('127.0.0.1'), 429)
    t.equal((await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'bea', password: PASSWORD } })).statusCode, 429)
    t.equal((await ada.inject({ method: 'POST', url: '/auth/password', payload: change })).statusCode, 429)
    t.equal((await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: PASSWORD } })).statusCode, 429)
    t.equal((await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { username: 'bea' } })).statusCode, 429)
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
    t.equal((await ada.refresh()).statusCode, 200)
    t.equal((await ada.inject({ method: 'POST', url: '/auth/logout' })).statusCode, 204)
  })

  t.test('does not believe X-Forwarded-For', async (t) => {
    t.equal(await statusFor('192.0.2.5', '198.51.100.1'), 401)
    t.equal(await statusFor('192.0.2.5', '198.51.100.2'), 429)
  })
})

t.test('TRUST_PROXY', async (t) => {
  const { statusFor } = await attacked(t, { RATE_LIMIT_ADDRESS: '1/1m', TRUST_PROXY: '10.0.0.0/8' })

  t.test('names the gateways whose X-Forwarded-For is believed', async (t) => {
    t.equal(await statusFor(GATEWAY, '192.0.2.1'), 401)
    t.equal(await statusFor(GATEWAY, '192.0.2.1'), 429)
    t.equal(await statusFor(GATEWAY, '192.0.2.2'), 401)
  })

  t.test('believes nobody else\'s', async (t) => {
    t.equal(await statusFor('192.0.2.3', '198.51.100.1'), 401)
    t.equal(await statusFor('192.0.2.3', '198.51.100.2'), 429)
  })

  t.test('believes it no further than to the first whom it does not name', async (t) => {
    t.equal(await statusFor(GATEWAY, '198.51.100.1, 192.0.2.4'), 401)
    t.equal(await statusFor(GATEWAY, '198.51.100.2, 192.0.2.4, 10.9.9.9'), 429)
  })
})

t.test('RATE_LIMIT_ACCOUNT', async (t) => {
  const { server, login } = await attacked(t, { RATE_LIMIT_ACCOUNT: '1/15m' })
  const wrong = (names: object) => ({ payload: { ...names, password: 'another password' } })
  const right = (names: object) => ({ payload: { ...names, password: PASSWORD } })

  t.test('bounds the wrong passwords for one account, whatever they come from and whatever name is used', async (t) => {
    const { server, login } = await attacked(t, { RATE_LIMIT_ACCOUNT: '3/15m' })
    await signUp(server, { username: 'ada', email: 'ada@example.com' })

    t.equal((await login('192.0.2.1', wrong({ username: 'ada' }))).statusCode, 401)
    t.equal((await login('192.0.2.2', wrong({ username: 'ADA' }))).statusCode, 401)
    t.equal((await login('192.0.2.3', wrong({ email: 'Ada@Example.com' }))).statusCode, 401)
    const refused = await login('192.0.2.4', right({ username: 'ada' }))

    t.equal(refused.statusCode, 429)
    t.match(refused.json(), { code: 'rate_limited' })
    t.match(refused.headers, { 'ratelimit-limit': '3', 'ratelimit-remaining': '0', 'retry-after': /^\d{3}$/ })
  })

  t.test('leaves other accounts alone', async (t) => {
    await signUp(server, { username: 'ada' })
    await signUp(server, { username: 'bea' })
    await login('192.0.2.1', wrong({ username: 'ada' }))

    t.equal((await login('192.0.2.1', right({ username: 'ada' }))).statusCode, 429)
    t.equal((await login('192.0.2.1', right({ username: 'bea' }))).statusCode, 200)
  })

  t.test('does not tell who has an account', async (t) => {
    t.equal((await login('192.0.2.1', wrong({ username: 'nobody' }))).statusCode, 401)
    t.equal((await login('192.0.2.2', wrong({ username: 'Nobody' }))).statusCode, 429)
  })

  t.test('counts every spelling of a name as one, whether or not somebody has it', async (t) => {
    await signUp(server, { username: 'fay' })

    for (const [spelling, name] of [['\uff26\uff21\uff39', 'fay'], ['\uff27\uff35\uff33', 'gus']] as const) { // the first in full width
      await login('192.0.2.1', wrong({ username: spelling }))
      t.equal((await login('192.0.2.2', wrong({ username: name }))).statusCode, 429, name)
    }
  })

  t.test('counts an e-mail address with a space before it as the same, though nobody has it', async (t) => {
    await login('192.0.2.1', wrong({ email: ' hal@example.com' }))

    t.equal((await login('192.0.2.2', wrong({ email: 'Hal@example.com' }))).statusCode, 429)
  })

  t.test('does not count right passwords', async (t) => {
    await signUp(server, { username: 'cleo' })

    for (let i = 0; i < 3; i++) t.equal((await login('192.0.2.1', right({ username: 'cleo' }))).statusCode, 200)
  })

  t.test('counts those that a signed-in user gives, and locks nobody out of their session', async (t) => {
    const dora = await signUp(server, { username: 'dora' })
    const remove = (password: string) => dora.inject({ method: 'DELETE', url: '/auth/me', payload: { password } })

    t.equal((await remove('another password')).statusCode, 403)
    t.equal((await remove(PASSWORD)).statusCode, 429)
    t.equal((await dora.inject({ url: '/secret' })).statusCode, 200)
  })

  t.test('is over after its time', async (t) => {
    const clock = createClock()
    await signUp(server, { username: 'emma' })
    t.intercept(Date, 'now', { value: clock.now })
    await login('192.0.2.1', wrong({ username: 'emma' }))

    clock.advance(899)
    t.equal((await login('192.0.2.1', right({ username: 'emma' }))).statusCode, 429)
    clock.advance(1)
    t.equal((await login('192.0.2.1', right({ username: 'emma' }))).statusCode, 200)
  })
})

t.test('RATE_LIMIT=off', async (t) => {
  t.test('counts nothing, and says nothing of limits', async (t) => {
    const { login } = await attacked(t, { RATE_LIMIT: 'off', RATE_LIMIT_ADDRESS: '1/1m', RATE_LIMIT_ACCOUNT: '1/1m' })

    for (let i = 0; i < 3; i++) {
      const response = await login('192.0.2.1')
      t.equal(response.statusCode, 401)
      t.equal(response.headers['ratelimit-limit'], undefined)
    }
  })
})
