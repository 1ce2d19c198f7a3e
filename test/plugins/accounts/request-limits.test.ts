import t from 'tap'
import { PASSWORD, build, converse, createClock, databaseUrl, signUp } from '../../helper.ts'
import type { InjectOptions } from 'fastify'
import type { Test } from 'tap'

const GATEWAY = '10.1.2.3'

/** A service with this limit, and the ways to try a password there. */
async function prepare (t: Test, env: Record<string, string>) {
  const clock = createClock()
  const server = await build(t, { env: { DOCS: 'off', RATE_LIMIT: 'on', RATE_LIMIT_ACCOUNT: '1000/1m', RATE_LIMIT_PAIR: '1000/1m', ...env }, now: clock.now })
  const login = (from: string, request: InjectOptions = {}) => server.inject({
    method: 'POST', url: '/auth/login', remoteAddress: from, payload: { username: 'nobody', password: PASSWORD }, ...request
  })
  const statusFor = async (from: string, forwardedFor = '') => (await login(from, { headers: { 'x-forwarded-for': forwardedFor } })).statusCode
  return { clock, server, login, statusFor }
}

t.test('RATE_LIMIT_ADDRESS', async (t) => {
  const { clock, server, statusFor } = await prepare(t, { RATE_LIMIT_ADDRESS: '1/1m' })

  t.test('bounds the requests from one address, and says so in headers', async (t) => {
    const { login } = await prepare(t, { RATE_LIMIT_ADDRESS: '2/1m' })

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
    t.equal(await statusFor('2002:cb00:710e:1::1'), 401)
    t.equal(await statusFor('2002:cb00:710e:2::1'), 429, '6to4: one IPv4 address has all of them')
  })

  t.test('is neither void nor endless when the clock is set', async (t) => {
    const clock = createClock()
    const env = { DATABASE_URL: databaseUrl(t), DOCS: 'off', RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '1/1m' }
    const server = await build(t, { env, ...clock })
    const login = async (service = server) => (await service.inject({ method: 'POST', url: '/auth/login', payload: { username: 'nobody', password: PASSWORD } })).statusCode
    t.same([await login(), await login()], [401, 429])

    clock.set(1200)
    t.equal(await login(), 429, 'ahead')
    clock.set(-1200)
    clock.advance(60)
    t.equal(await login(), 401, 'and right again')
    clock.set(-86_400)
    clock.advance(120)
    t.equal(await login(), 401, 'set back')
    await server.close()
    clock.set(-86_400)
    t.equal(await login(await build(t, { env, ...clock })), 401, 'set back before a start')
  })

  t.test('is over after its time', async (t) => {
    t.equal(await statusFor('192.0.2.4'), 401)

    clock.advance(59)
    t.equal(await statusFor('192.0.2.4'), 429)
    clock.advance(1)
    t.equal(await statusFor('192.0.2.4'), 401)
    t.equal(await statusFor('192.0.2.4'), 429)
  })

  t.test('counts together all requests that take a password, make an account or show whether a name is taken, and no others', async (t) => {
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
  const { server, statusFor } = await prepare(t, { RATE_LIMIT_ADDRESS: '1/1m', TRUST_PROXY: '10.0.0.0/8,127.0.0.1' })

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
    t.equal(await statusFor(GATEWAY, '198.51.100.3,10.8.8.8,192.0.2.4,10.9.9.9'), 429, 'though the client says that it is behind a gateway')
  })

  t.test('believes it so through several gateways, whatever the client wrote before them', async (t) => {
    const hops = '10.7.7.7, 10.8.8.8, 127.0.0.1'

    t.equal(await statusFor(GATEWAY, `192.0.2.5, ${hops}`), 401)
    for (const forged of ['198.51.100.4', '2001:db8::1', '10.1.1.1', 'unknown', '"', ',,', '192.0.2.6 192.0.2.7']) {
      t.equal(await statusFor(GATEWAY, `${forged}, 192.0.2.5, ${hops}`), 429, forged)
    }
  })

  t.test('believes it with a port, too', async (t) => {
    for (const [i, status] of [401, 429, 429].entries()) t.equal(await statusFor(GATEWAY, `192.0.2.20:5000${i}`), status)
    for (const [i, status] of [401, 429, 429].entries()) t.equal(await statusFor(GATEWAY, `[2001:db8::${i}]:50001`), status)
  })

  t.test('reads two headers as one list', async (t) => {
    await server.listen({ host: '127.0.0.1', port: 0 })
    const body = JSON.stringify({ username: 'nobody', password: PASSWORD })
    const statusLine = async (forged: string) => {
      const head = ['POST /auth/login HTTP/1.1', 'Host: postern', 'Connection: close', 'Content-Type: application/json', `Content-Length: ${body.length}`]
      const [line] = (await converse(server, ...head, `X-Forwarded-For: ${forged}`, 'X-Forwarded-For: 192.0.2.8', '', body)).split('\r\n')
      return line
    }

    t.equal(await statusLine('198.51.100.5'), 'HTTP/1.1 401 Unauthorized')
    t.equal(await statusLine('198.51.100.6'), 'HTTP/1.1 429 Too Many Requests')
  })
})

t.test('RATE_LIMIT=off', async (t) => {
  t.test('counts nothing, remembers no address, and sends no header of a limit', async (t) => {
    const { server, login } = await prepare(t, { RATE_LIMIT: 'off', RATE_LIMIT_ADDRESS: '1/1m', RATE_LIMIT_ACCOUNT: '1/1m' })
    await signUp(server)

    for (let i = 0; i < 3; i++) {
      const response = await login('192.0.2.1')
      t.equal(response.statusCode, 401)
      t.equal(response.headers['ratelimit-limit'], undefined)
    }
    t.equal(await server.db.signInLimits.prune(Number.MAX_SAFE_INTEGER), 0)
    t.equal(await server.db.requestCounts.prune(Number.MAX_SAFE_INTEGER), 0)
  })
})
