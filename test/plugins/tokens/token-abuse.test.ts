import { once } from 'node:events'
import { createServer } from 'node:http'
import t from 'tap'
import { abusiveTokens } from './abusive-tokens.ts'
import { assertRefused, bearer, build, converse, createClock, signUp, signUpAdmin, signUpClient, stockRoute } from '../../helper.ts'
import type { AddressInfo } from 'node:net'

const CHALLENGE = /^Bearer error="invalid_token", error_description="[^"]+"$/
const MEGABYTE = 1 << 20
const MOST_BODY = 16 << 10
const MOST_HEADERS = 16 << 10

/** Why `POST /tokens/explain` may say that these are refused. */
const REASONS = new Set(['expired', 'malformed', 'bad_signature', 'not_as_issued', 'not_yet_valid', 'unknown_key', 'wrong_audience', 'wrong_issuer', 'wrong_type'])

const visits: unknown[] = []
const trap = createServer((request) => visits.push(request.url)).listen(0, '127.0.0.1')
t.teardown(() => trap.close())
await once(trap, 'listening')

const clock = createClock()
const server = await build(t, { env: { DOCS: 'off' }, now: clock.now, routes: stockRoute })
await server.listen({ host: '127.0.0.1', port: 0 })
const client = await signUpClient(server)
const ada = await signUp(server)
const admin = await signUpAdmin(server)
const { bad, good } = abusiveTokens(server, ada.access_token, {
  seconds: clock.now() / 1000,
  elsewhere: `http://127.0.0.1:${(trap.address() as AddressInfo).port}` // it listens on a port
})

function get (url: string, token: string) {
  return server.inject({ url, headers: bearer(token) })
}

function introspect (token: string) {
  return server.inject({ method: 'POST', url: '/oauth/introspect', headers: client, payload: { token } })
}

function explain (token: string) {
  return server.inject({ method: 'POST', url: '/tokens/explain', headers: bearer(admin.access_token), payload: { token } })
}

t.test('A route, the stock `jwtVerify`, /verify and introspection all refuse', async (t) => {
  for (const [kind, examples] of Object.entries(bad)) {
    t.test(`${kind}:`, async (t) => {
      for (const [name, example] of Object.entries(examples)) {
        t.test(name, async (t) => {
          const [token, code = 'invalid_token'] = [example].flat()
          const [own, verify, stock, introspected] = await Promise.all([get('/secret', token!), get('/verify', token!), get('/stock', token!), introspect(token!)])

          for (const response of [own, verify]) {
            assertRefused(t, response, 401, code)
            t.match(response.headers['www-authenticate'], CHALLENGE)
          }
          t.equal(stock.statusCode, 401)
          t.match(stock.headers['www-authenticate'], /^Bearer( error="invalid_token", error_description="[^"]+")?$/)
          if (token === '') assertRefused(t, introspected, 400, 'validation_failed')
          else if (token!.length > MOST_BODY) assertRefused(t, introspected, 413, 'body_too_large')
          else {
            t.same(introspected.json(), { active: false })
            t.ok(REASONS.has((await explain(token!)).json().reason))
          }
        })
      }
    })
  }

  t.test('nothing that is good', async (t) => {
    for (const token of good) {
      for (const url of ['/secret', '/verify', '/stock']) t.equal((await get(url, token)).statusCode, 200)
      t.equal((await introspect(token)).json().active, true)
    }
  })

  t.test('to ask elsewhere for a key', async (t) => {
    t.same(visits, [])
  })

  t.test('who presents none', async (t) => {
    for (const url of ['/secret', '/verify', '/stock']) {
      const response = await server.inject({ url })

      assertRefused(t, response, 401, 'missing_token')
      t.equal(response.headers['www-authenticate'], 'Bearer')
    }
  })

  t.test('a refresh token in place of an access token', async (t) => {
    for (const url of ['/secret', '/verify']) {
      const response = await get(url, ada.refresh_token)

      assertRefused(t, response, 401, 'wrong_token_type')
      t.match(response.headers['www-authenticate'], CHALLENGE)
    }
    t.equal((await get('/stock', ada.refresh_token)).statusCode, 401)
  })
})

t.test('Over a socket', async (t) => {
  for (const url of ['/secret', '/verify']) {
    const send = (...headers: string[]) => converse(server, `GET ${url} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers)
    const token = `Authorization: Bearer ${ada.access_token}`

    t.test(`${url} refuses two headers, whichever is good`, async (t) => {
      for (const headers of [[token, 'Authorization: Bearer x'], ['Authorization: Bearer x', token], [token, token], [token, 'authorization: Basic YTpi']]) {
        const answer = await send(...headers)

        t.match(answer, /^HTTP\/1\.1 401 /)
        t.equal(answer.match(/^www-authenticate: Bearer error="invalid_token"/gim)?.length, 1)
      }
    })

    t.test(`${url} takes no header that is too large, and says so in the shape of every refusal`, async (t) => {
      const answer = await send(`Authorization: Bearer ${'x'.repeat(MOST_HEADERS)}`)

      t.match(answer, /^HTTP\/1\.1 431 /)
      t.match(answer, '"code":"headers_too_large"')
    })

    t.test(`${url} hangs up on a header of 1 MB, and serves others`, async (t) => {
      const answer = await send(`Authorization: Bearer ${'x'.repeat(MEGABYTE)}`).catch(({ code }) => code)

      t.match(answer, /^HTTP\/1\.1 431 |^ECONNRESET$|^EPIPE$/) // whichever comes first: the answer, or that nobody reads on
      t.match(await send(token), /^HTTP\/1\.1 200 /)
    })

    t.test(`${url} takes the white space around a header for what HTTP does, and no other`, async (t) => {
      t.match(await send(`Authorization: \t ${token.slice(15)} \t`), /^HTTP\/1\.1 200 /)
      t.match(await send(`Authorization: Bearer ${ada.access_token.replace('.', '. ')}`), /^HTTP\/1\.1 401 /)
      t.match(await send('Authorization: Bearer x', ` ${ada.access_token}`), /^HTTP\/1\.1 400 /)
    })
  }
})
