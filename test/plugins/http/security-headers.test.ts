import { once } from 'node:events'
import { createServer } from 'node:http'
import helmet from 'helmet'
import t from 'tap'
import { build, signUp } from '../../helper.ts'
import type { AddressInfo } from 'node:net'

const APP = 'https://app.example.com'
const EVIL = 'https://evil.example.com'

t.test('Every answer', async (t) => {
  const server = await build(t)
  const ada = await signUp(server)

  for (const [name, answer] of [
    ['200', () => ada.inject({ url: '/secret' })],
    ['200 to HEAD', () => ada.inject({ method: 'HEAD', url: '/secret' })],
    ['204', () => ada.inject({ method: 'POST', url: '/auth/logout' })],
    ['304', async () => server.inject({ url: '/.well-known/jwks.json', headers: { 'if-none-match': String((await server.inject({ url: '/.well-known/jwks.json' })).headers.etag) } })],
    ['400', () => server.inject({ method: 'POST', url: '/auth/login', payload: {} })],
    ['401', () => server.inject({ url: '/secret' })],
    ['400 to what cannot be decoded', () => server.inject({ url: '/users/%zz' })],
    ['401 of /verify, which gateways pass on', () => server.inject({ url: '/verify' })],
    ['404', () => server.inject({ url: '/nowhere' })],
    ['405', () => server.inject({ method: 'PUT', url: '/secret' })],
    ['415', () => server.inject({ method: 'POST', url: '/auth/login', payload: 'x', headers: { 'content-type': 'image/png' } })]
  ] as const) {
    t.test(`may not be sniffed, framed, run or remembered as a referrer: ${name}`, async (t) => {
      const { statusCode, headers } = await answer()

      t.equal(statusCode, Number.parseInt(name))
      t.match(headers, {
        'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer'
      })
    })
  }

  for (const [env, expected] of [
    [{}, undefined],
    [{ ISSUER: 'http://auth.example.com' }, undefined],
    [{ ISSUER: 'https://auth.example.com' }, 'max-age=31536000'],
    [{ ISSUER: 'https://auth.example.com', HSTS: 'off' }, undefined],
    [{ HSTS: 'max-age=0' }, 'max-age=0'],
    [{ HSTS: 'max-age=600; includeSubDomains; preload' }, 'max-age=600; includeSubDomains; preload']
  ] as const) {
    t.test(`tells browsers to stay with https as HSTS and ISSUER say: ${JSON.stringify(env)}`, async (t) => {
      const server = await build(t, { env })

      for (const url of ['/', '/secret', '/nowhere', '/users/%zz', '/verify']) t.equal((await server.inject({ url })).headers['strict-transport-security'], expected, url)
    })
  }

  t.test('has the headers that helmet sets', async (t) => {
    const setHeaders = helmet({
      strictTransportSecurity: false, // a setting here
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] } },
      xFrameOptions: { action: 'deny' }
    })
    const reference = createServer((request, response) => setHeaders(request, response, () => response.end())).listen(0, '127.0.0.1')
    t.teardown(() => reference.close())
    await once(reference, 'listening')
    const { port } = reference.address() as AddressInfo // it listens on a port
    const { headers } = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } })
    const fromHelmet = [...headers].filter(([name]) => !['connection', 'content-length', 'date'].includes(name))

    t.ok(fromHelmet.length > 10)
    t.match((await server.inject({ url: '/secret' })).headers, Object.fromEntries(fromHelmet))
  })

  t.test('does not name the software behind it', async (t) => {
    const { headers } = await server.inject({ url: '/' })

    for (const name of ['server', 'x-powered-by', 'via']) t.equal(headers[name], undefined, name)
  })

  t.test('lets Swagger UI run its own scripts, and only its own', async (t) => {
    const { headers } = await server.inject({ url: '/docs/' })

    t.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self';/)
    t.notMatch(headers['content-security-policy'], /upgrade-insecure-requests|unsafe-eval|script-src[^;]*unsafe-inline/)
  })

  t.test('may be read from no other origin', async (t) => {
    for (const origin of [APP, EVIL, 'null']) {
      const { headers } = await server.inject({ url: '/', headers: { origin } })
      t.equal(headers['access-control-allow-origin'], undefined, origin)
    }
  })

  t.test('is no permission to ask from another origin', async (t) => {
    const response = await server.inject({ method: 'OPTIONS', url: '/secret', headers: { origin: APP, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' } })

    t.equal(response.statusCode, 405)
    t.equal(response.headers['access-control-allow-origin'], undefined)
  })
})
