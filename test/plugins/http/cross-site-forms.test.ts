import t from 'tap'
import { PASSWORD, assertRefused, basic, bearer, build, signUp } from '../../helper.ts'

const APP = 'https://app.example.com'
const EVIL = 'https://evil.example'
const FORM = `username=ada&password=${encodeURIComponent(PASSWORD)}`
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' }

t.test('A form', async (t) => {
  const server = await build(t, { env: { CORS_ORIGIN: APP, ISSUER: 'https://auth.example.com/path' } })
  await signUp(server, { username: 'ada' })
  const send = (headers: Record<string, string>) => server.inject({ method: 'POST', url: '/auth/login', payload: FORM, headers: { host: 'internal:3000', ...FORM_TYPE, ...headers } })

  for (const headers of [
    {},
    { origin: APP },
    { origin: APP, 'sec-fetch-site': 'cross-site' },
    { origin: 'https://auth.example.com', 'sec-fetch-site': 'same-origin' },
    { origin: 'https://auth.example.com' },
    { origin: 'http://internal:3000' },
    { origin: 'https://public.example.com', host: 'public.example.com:443' },
    { origin: 'https://rewritten.example.com', 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' }
  ] as Array<Record<string, string>>) {
    t.test(`is taken from a program, and from a page of ours: ${JSON.stringify(headers)}`, async (t) => {
      t.equal((await send(headers)).statusCode, 200)
    })
  }

  for (const headers of [
    { origin: EVIL, 'sec-fetch-site': 'cross-site' },
    { origin: EVIL },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { origin: EVIL, 'sec-fetch-site': 'same-site' },
    { origin: `${APP}.evil.example` },
    { origin: 'http://internal:3001' },
    { origin: EVIL, host: 'not a host' }
  ] as Array<Record<string, string>>) {
    t.test(`is refused from another site: ${JSON.stringify(headers)}`, async (t) => {
      assertRefused(t, await send(headers), 403, 'cross_site')
    })
  }

  t.test('is refused under every type that needs no preflight', async (t) => {
    for (const type of ['application/x-www-form-urlencoded; charset=utf-8', 'TEXT/PLAIN', 'multipart/form-data; boundary=x', ' text/plain']) {
      assertRefused(t, await send({ origin: EVIL, 'content-type': type }), 403, 'cross_site')
    }
    assertRefused(t, await server.inject({ method: 'POST', url: '/auth/login', payload: FORM, headers: { origin: EVIL } }), 403, 'cross_site')
    assertRefused(t, await send({ origin: EVIL, ...basic('gateway', 'secret') }), 403, 'cross_site')
  })
})

t.test('What needs a preflight', async (t) => {
  t.test('is left to CORS', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)
    const headers = { origin: EVIL, 'sec-fetch-site': 'cross-site' }

    t.equal((await server.inject({ method: 'POST', url: '/auth/login', payload: { username: ada.user.username, password: PASSWORD }, headers })).statusCode, 200)
    t.equal((await ada.inject({ url: '/secret', headers })).statusCode, 200)
    t.equal((await ada.inject({ method: 'POST', url: '/auth/logout', headers })).statusCode, 204)
  })
})

t.test('A gateway', async (t) => {
  t.test('may ask about a form of another site', async (t) => {
    const server = await build(t)
    const { access_token: token } = await signUp(server)

    const response = await server.inject({ method: 'POST', url: '/verify', headers: { ...bearer(token), ...FORM_TYPE, origin: EVIL, 'sec-fetch-site': 'cross-site' } })
    const withoutToken = await server.inject({ method: 'POST', url: '/verify', headers: { ...FORM_TYPE, origin: EVIL } })

    t.equal(response.statusCode, 200)
    assertRefused(t, withoutToken, 401, 'missing_token')
  })
})

t.test('Wrong passwords from another site', async (t) => {
  t.test('count for nothing', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on' } })
    await signUp(server, { username: 'ada' })

    for (let i = 0; i < 100; i++) {
      assertRefused(t, await server.inject({ method: 'POST', url: '/auth/login', payload: 'username=ada&password=wrong', headers: { ...FORM_TYPE, origin: EVIL } }), 403, 'cross_site')
    }

    t.equal((await server.inject({ method: 'POST', url: '/auth/login', payload: FORM, headers: FORM_TYPE })).statusCode, 200)
  })
})
