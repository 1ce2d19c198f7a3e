import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { METHODS, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import Client from 'better-sqlite3'
import t from 'tap'
import { NO_HOLD, assertRefused, bearer, build, buildShared, claimsOf, converse, createClock, createLog, databaseUrl, signIn, signUp } from '../../helper.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'

type Method = NonNullable<InjectOptions['method']>

const ASKED = METHODS.filter((method) => method !== 'CONNECT') as Method[] // `inject` takes more than its type says
const SECRET = 'thirty-two bytes, or a few more of them'
const NONE = '-'
const PREFLIGHT = { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' }

const clock = createClock()
const server = await buildShared(t, { now: clock.now })

t.test('/verify', async (t) => {
  t.test('answers a good token with whose it is, in headers alone', async (t) => {
    const ada = await signUp(server, { username: 'ada' })
    const { sid, jti } = claimsOf(ada.access_token)

    const response = await ada.inject({ url: '/verify' })

    t.equal(response.statusCode, 200)
    t.equal(response.body, '')
    t.match(response.headers, {
      'x-auth-subject': ada.user.id,
      'x-auth-session': sid,
      'x-auth-roles': NONE,
      'x-auth-token-id': jti,
      'cache-control': 'no-store',
      'content-length': '0'
    })
  })

  t.test('lists roles', async (t) => {
    const ada = await signUpWith(server, ['editor', 'admin'])

    assertPassed(t, await ada.inject({ url: '/verify' }), { 'x-auth-roles': 'editor,admin' })
  })

  t.test('names the owner of each of many tokens, however often it is asked', async (t) => {
    const people = await Promise.all(Array.from({ length: 5 }, () => signUp(server)))

    for (const { inject, user, access_token: token } of [...people, ...people]) {
      assertPassed(t, await inject({ url: '/verify' }), { 'x-auth-subject': user.id, 'x-auth-token-id': claimsOf(token).jti })
    }
  })

  t.test('ignores what the caller says of itself', async (t) => {
    const ada = await signUp(server)
    const headers = { 'x-auth-subject': 'root', 'x-auth-roles': 'admin', x_auth_roles: 'admin', 'x-auth-session': 'x', 'x-auth-token-id': 'x', 'x-original-uri': '/', 'x-forwarded-prefix': '/', 'x-forwarded-uri': '/public', 'x-forwarded-method': 'OPTIONS' }

    assertPassed(t, await ada.inject({ url: '/verify', headers }), { 'x-auth-subject': ada.user.id, 'x-auth-roles': NONE })
    assertChallenged(t, await server.inject({ url: '/verify', headers }), 'missing_token')
    assertRefused(t, await ada.inject({ url: '/verify?role=admin', headers }), 403, 'forbidden')
  })

  for (const method of ASKED) {
    t.test(`lets ${method} pass with a good token, and not without`, async (t) => {
      const ada = await signUp(server)

      const [passed, refused, forbidden] = [await ada.inject({ method, url: '/verify' }), await server.inject({ method, url: '/verify' }), await ada.inject({ method, url: '/verify?role=admin' })]

      assertPassed(t, passed, { 'x-auth-subject': ada.user.id })
      t.equal(refused.statusCode, 401)
      t.equal(refused.headers['www-authenticate'], 'Bearer')
      t.equal(forbidden.statusCode, 403)
    })
  }

  for (const type of ['application/json', 'application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data', 'application/grpc', 'nonsense', '', 'application/json; charset=', '/;,"\\']) {
    t.test(`does not look at a body, whatever it is said to be: ${type}`, async (t) => {
      const ada = await signUp(server)
      const headers = { 'content-type': type }

      for (const payload of ['', '{', 'x'.repeat(100_000)]) {
        const post = { method: 'POST', url: '/verify', headers, payload } as const
        assertPassed(t, await ada.inject(post), { 'x-auth-subject': ada.user.id })
        assertChallenged(t, await server.inject(post), 'missing_token')
      }
    })
  }

  for (const path of ['/', '/secret', '/a/b/c', '/%zz', '/%', '/%00', '//x', '/;a=b', '/?', '/verify', '/é', `/${'a'.repeat(5000)}`]) {
    t.test(`does not mind what an original path is: ${path.slice(0, 40)}`, async (t) => {
      const ada = await signUp(server)

      assertPassed(t, await ada.inject({ url: `/verify${path}` }), { 'x-auth-subject': ada.user.id })
      assertChallenged(t, await server.inject({ method: 'DELETE', url: `/verify${path}` }), 'missing_token')
    })
  }

  for (const query of ['', '?', '?&', '?&&']) {
    t.test(`demands nothing more than a good token where no parameter is: ${query}`, async (t) => {
      const ada = await signUp(server)

      for (const path of ['/verify', '/verify/', '/verify/a']) assertPassed(t, await ada.inject({ url: path + query }), { 'x-auth-subject': ada.user.id })
    })
  }

  for (const query of [
    'roles=admin', 'role[]=admin', 'role%5B%5D=admin', 'Role=admin', 'ROLE=admin', '%20role=admin', '+role=admin', 'role%20=admin', 'role+=admin', 'role%00=admin', 'scope=admin',
    'a=1', 'a', '=admin', '?role=admin', '%zz=%zz', '__proto__=x', 'constructor=y', 'toString=z', 'role=editor&roles=admin', 'roles=admin&role=editor', `${'a'.repeat(5000)}=1`, 'a=1&'.repeat(1000)
  ]) {
    t.test(`lets nobody in for a parameter that it does not know: ${query.slice(0, 40)}`, async (t) => {
      const editor = await signUpWith(server, ['editor', 'admin'])

      for (const path of ['/verify', '/verify/', '/verify/a', '/verify//a/%zz']) {
        for (const method of ['GET', 'POST', 'OPTIONS'] as const) {
          const response = await editor.inject({ method, url: `${path}?${query}` })
          assertRefused(t, response, 503, 'not_verified')
          t.equal(response.headers['retry-after'], '1')
          t.equal(response.headers['x-auth-subject'], undefined)
        }
        assertRefused(t, await server.inject({ url: `${path}?${query}` }), 503, 'not_verified')
      }
    })
  }

  t.test('tells the operator which parameter it does not know', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { logger })

    lines.length = 0
    await server.inject({ url: '/verify?roles=admin' })

    t.match(lines, [{ level: 40, parameter: 'roles', msg: '/verify does not know this parameter: correct the gateway\'s configuration' }, { level: 40, code: 'not_verified' }])
  })

  t.test('demands a role, whatever path stands before the query', async (t) => {
    const ada = await signUp(server)
    const admin = await signUpWith(server, ['admin'])

    for (const url of ['/verify', '/verify/', '/verify//', '/verify/x', '/verify/x/', '/verify/x/verify/', '/verify/%zz', '/verify/%3F']) {
      assertRefused(t, await ada.inject({ url: `${url}?role=admin` }), 403, 'forbidden')
      assertPassed(t, await admin.inject({ url: `${url}?role=admin` }), { 'x-auth-roles': 'admin' })
    }
  })

  t.test('requires every role that the query names', async (t) => {
    const editor = await signUpWith(server, ['editor', 'reader'])
    const statuses = async (query: string) => (await editor.inject({ url: `/verify?${query}` })).statusCode

    t.equal(await statuses('role=editor'), 200)
    t.equal(await statuses('role=editor&role=reader'), 200)
    t.equal(await statuses('&role=reader&'), 200)
    for (const query of ['role=admin', 'role=editor&role=admin', 'role=admin&role=editor', 'role=', 'role=editor,reader', 'role=Editor', 'role=edit', 'role=%00', 'role=__proto__', 'role']) t.equal(await statuses(query), 403, query)
  })

  t.test('lets nobody in for a role without a name', async (t) => {
    const odd = await signUpWith(server, ['', 'editor'])

    for (const query of ['role', 'role=', 'role=&role=', 'role=editor&role=', 'role&role=editor']) assertRefused(t, await odd.inject({ url: `/verify?${query}` }), 403, 'forbidden')
  })

  t.test('refuses a token without the role with its own challenge', async (t) => {
    const ada = await signUp(server)

    const response = await ada.inject({ url: '/verify?role=admin' })

    assertRefused(t, response, 403, 'forbidden')
    t.match(response.headers['www-authenticate'], /^Bearer error="insufficient_scope", error_description="[^"]+"$/)
    t.equal(response.headers['cache-control'], 'no-store')
    t.equal(response.headers['x-auth-subject'], undefined)
  })

  t.test('refuses every token that is not good, with one challenge', async (t) => {
    const ada = await signUp(server)
    const over = await signUp(server)
    await over.inject({ method: 'POST', url: '/auth/logout' })
    const tokens: Record<string, [token: string, code: string]> = {
      revoked: [over.access_token, 'token_revoked'],
      refresh: [ada.refresh_token, 'wrong_token_type'],
      garbage: ['garbage', 'invalid_token'],
      long: ['x'.repeat(8000), 'invalid_token'],
      changed: [`${ada.access_token.slice(0, -4)}AAAA`, 'invalid_token']
    }

    for (const [token, code] of Object.values(tokens)) assertChallenged(t, await server.inject({ url: '/verify', headers: bearer(token) }), code)
    for (const authorization of ['Bearer', 'Basic YTpi', 'Digest x']) t.equal((await server.inject({ url: '/verify', headers: { authorization } })).statusCode, 401, authorization)
    clock.advance(900)
    assertChallenged(t, await ada.inject({ url: '/verify' }), 'token_expired')
  })

  t.test('refuses a token that was good for it a moment ago, once its session is over', async (t) => {
    const ada = await signUp(server)
    assertPassed(t, await ada.inject({ url: '/verify' }), {})

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    assertChallenged(t, await ada.inject({ url: '/verify' }), 'token_revoked')
  })

  t.test('takes the token in ACCESS_TOKEN_HEADER, where there is one', async (t) => {
    const server = await build(t, { env: { ACCESS_TOKEN_HEADER: 'x-access-token' } })
    const ada = await signUp(server)

    assertPassed(t, await server.inject({ url: '/verify', headers: { 'x-access-token': ada.access_token } }), { 'x-auth-subject': ada.user.id })
    assertChallenged(t, await ada.inject({ url: '/verify', headers: { 'x-access-token': ada.access_token } }), 'invalid_token')
  })

  t.test('encodes the claims of a token that another holder of the secret signed', async (t) => {
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET } })
    const ada = await signUp(server)
    const forge = (change: object) => {
      const [head = ''] = ada.access_token.split('.')
      const content = `${head}.${Buffer.from(JSON.stringify({ ...claimsOf(ada.access_token), ...change })).toString('base64url')}`
      return `${content}.${createHmac('sha256', SECRET).update(content).digest('base64url')}`
    }

    for (const [evil, safe] of [['a\r\nX-Evil: 1', 'a%0D%0AX-Evil%3A%201'], ['é,ö', '%C3%A9%2C%C3%B6'], ['\0', '%00'], ['\ud800', '%EF%BF%BD'], ['-"', '-%22']] as const) {
      const response = await server.inject({ url: '/verify', headers: bearer(forge({ sub: evil, sid: evil, jti: evil, roles: [evil, 'b'] })) })

      assertPassed(t, response, { 'x-auth-subject': safe, 'x-auth-session': safe, 'x-auth-token-id': safe, 'x-auth-roles': `${safe},b` })
      t.equal(response.headers['x-evil'], undefined)
    }
  })

  t.test('answers 503 while the database cannot be read, and goes on afterwards', async (t) => {
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
    const ada = await signUp(server)
    assertPassed(t, await ada.inject({ url: '/verify' }), {})
    const file = new Client(server.db.file)
    t.teardown(() => file.close())

    file.exec('alter table revocations rename to away')
    for (const method of ['GET', 'POST', 'OPTIONS'] as const) {
      await stat('.') // until something comes from outside, nothing new can have been revoked
      const response = await ada.inject({ method, url: '/verify/a?role=admin' })

      assertRefused(t, response, 503, 'not_verified')
      t.equal(response.headers['x-auth-subject'], undefined)
      t.equal(response.headers['www-authenticate'], undefined)
    }
    file.exec('alter table away rename to revocations')

    assertPassed(t, await ada.inject({ url: '/verify' }), {})
  })
})

t.test('/verify over a socket', async (t) => {
  const server = await build(t, { env: { VERIFY_PREFLIGHT: 'allow', TRUST_PROXY: '127.0.0.1' } })
  const ada = await signUp(server)
  const authorization = `Authorization: Bearer ${ada.access_token}`
  await server.listen({ host: '127.0.0.1', port: 0 })

  for (const method of ASKED) {
    t.test(`answers ${method}`, async (t) => {
      const [passed, refused] = await Promise.all([
        converse(server, `${method} /verify/a/%zz HTTP/1.1`, 'Host: localhost', 'Connection: close', authorization),
        converse(server, `${method} /verify HTTP/1.1`, 'Host: localhost', 'Connection: close')
      ])

      t.match(passed, /^HTTP\/1\.1 200 /)
      for (const name of ['subject', 'session', 'roles', 'token-id']) t.match(passed, new RegExp(`^x-auth-${name}: [\\w-]+\r$`, 'm'))
      t.match(refused, /^HTTP\/1\.1 401 /)
      t.equal(refused.match(/^www-authenticate:/gim)?.length, 1)
    })
  }

  t.test('does not mind an original path that leads elsewhere', async (t) => {
    for (const path of ['/..', '/../secret', '/%2e%2e/secret', '/a/../../secret', '/\\..\\secret', '/http://evil.example.com/']) {
      t.match(await converse(server, `GET /verify${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', authorization), /^HTTP\/1\.1 200 [^]*^x-auth-subject: [\w-]{22}\r$/m, path)
    }
  })

  t.test('reads an address in absolute form', async (t) => {
    const ask = (address: string) => converse(server, `GET ${address} HTTP/1.1`, 'Host: localhost', 'Connection: close', authorization)

    for (const path of ['/verify', '/verify/', '/verify/x', '/verify/x/%zz', '/verify?', '/verify/http://a/b']) {
      for (const origin of ['http://localhost', 'HTTPS://localhost:3000']) {
        t.match(await ask(origin + path), /^HTTP\/1\.1 200 [^]*^x-auth-subject: [\w-]{22}\r$/m, origin + path)
      }
    }
    for (const path of ['/verify/x?role=admin', '/verify/?role=admin', '/verify/x#role=admin']) t.match(await ask(`http://localhost${path}`), /^HTTP\/1\.1 403 /, path)
    for (const path of ['/verify/x?roles=admin', '/verify?/x', '/verify/x#/x']) t.match(await ask(`http://localhost${path}`), /^HTTP\/1\.1 503 /, path)
    for (const path of ['/secret/verify/x', '/secret?/verify/x']) t.notMatch(await ask(`http://localhost${path}`), /x-auth-subject/i, path)
  })

  t.test('answers before a body of 100 kB has come, and goes on with the connection after it', async (t) => {
    const head = ['POST /verify HTTP/1.1', 'Host: localhost', 'Content-Type: nonsense', 'Content-Length: 100000', authorization, '', ''].join('\r\n')
    const { port } = server.server.address() as AddressInfo // it listens on a port
    const socket = connect(port, '127.0.0.1')
    socket.write(head)
    const [first] = await once(socket, 'data')
    t.match(String(first), /^HTTP\/1\.1 200 /)

    socket.write('x'.repeat(100_000))
    socket.write(['GET /verify HTTP/1.1', 'Host: localhost', 'Connection: close', '', ''].join('\r\n'))

    t.match(await text(socket), /^HTTP\/1\.1 401 /)
  })

  t.test('answers an Upgrade as any other request', async (t) => {
    t.match(await converse(server, 'GET /verify HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', authorization, 'Connection: close'), /^HTTP\/1\.1 200 /)
  })

  t.test('answers 401 to two Authorization headers', async (t) => {
    t.match(await converse(server, 'GET /verify HTTP/1.1', 'Host: localhost', 'Connection: close', authorization, authorization), /^HTTP\/1\.1 401 /)
  })

  t.test('answers HTTP/1.0', async (t) => {
    t.match(await converse(server, 'GET /verify HTTP/1.0', authorization), /^HTTP\/1\.1 200 /)
  })
})

t.test('A preflight', async (t) => {
  const allowing = { VERIFY_PREFLIGHT: 'allow', TRUST_PROXY: '127.0.0.1, 10.0.0.0/8, ::1, fd00::/8' }
  const server = await build(t, { env: allowing })
  const from = (remoteAddress: string, options: InjectOptions = {}) => server.inject({ method: 'OPTIONS', url: '/verify', remoteAddress, headers: PREFLIGHT, ...options })

  for (const address of ['127.0.0.1', '10.1.2.3', '::1', 'fd00::1', '::ffff:10.1.2.3']) {
    t.test(`passes, as nobody, when a gateway asks: ${address}`, async (t) => {
      const nobody = { 'x-auth-subject': NONE, 'x-auth-session': NONE, 'x-auth-roles': NONE, 'x-auth-token-id': NONE }

      assertPassed(t, await from(address), nobody)
      assertPassed(t, await from(address, { url: '/verify/secret?role=admin' }), nobody)
      assertPassed(t, await from(address, { method: 'GET', headers: { ...PREFLIGHT, 'x-forwarded-method': 'OPTIONS' } }), nobody)
    })
  }

  for (const address of ['127.0.0.2', '11.0.0.1', '::2', '::ffff:11.0.0.1']) {
    t.test(`needs a token as anything else, when somebody else asks: ${address}`, async (t) => {
      assertChallenged(t, await from(address), 'missing_token')
      assertChallenged(t, await from(address, { headers: { ...PREFLIGHT, 'x-forwarded-for': '127.0.0.1' } }), 'missing_token')
      assertChallenged(t, await from(address, { method: 'GET', headers: { ...PREFLIGHT, 'x-forwarded-method': 'OPTIONS' } }), 'missing_token')
    })
  }

  t.test('needs a token, too, when the caller has no address', async (t) => {
    const server = await build(t, { env: allowing })
    const socketPath = join(tmpdir(), `postern-${process.pid}`) // a longer one is none
    await server.listen({ path: socketPath })

    const asking = request({ socketPath, method: 'OPTIONS', path: '/verify', headers: PREFLIGHT, agent: false }).end()
    const [answer] = await once(asking, 'response')

    t.equal(answer.statusCode, 401)
    answer.destroy()
  })

  const others: Record<string, InjectOptions> = {
    'has no Origin': { headers: { 'access-control-request-method': 'PUT' } },
    'asks for no method': { headers: { origin: PREFLIGHT.origin } },
    'is a GET': { method: 'GET' },
    'is a GET by what the gateway says': { headers: { ...PREFLIGHT, 'x-forwarded-method': 'GET' } },
    'is an options in lower case': { method: 'GET', headers: { ...PREFLIGHT, 'x-forwarded-method': 'options' } }
  }
  for (const [what, other] of Object.entries(others)) {
    t.test(`is none that ${what}`, async (t) => {
      assertChallenged(t, await from('127.0.0.1', other), 'missing_token')
    })
  }

  t.test('passes nowhere else', async (t) => {
    t.equal((await from('127.0.0.1', { url: '/secret' })).statusCode, 405)
  })

  const settings: Array<Record<string, string>> = [{}, { TRUST_PROXY: '127.0.0.1' }, { VERIFY_PREFLIGHT: 'allow' }]
  for (const env of settings) {
    t.test(`needs a token with ${JSON.stringify(env)}`, async (t) => {
      const server = await build(t, { env })

      assertChallenged(t, await server.inject({ method: 'OPTIONS', url: '/verify', headers: PREFLIGHT }), 'missing_token')
    })
  }

  t.test('needs a token, too, where CORS_ORIGIN lets browsers call this service', async (t) => {
    const server = await build(t, { env: { CORS_ORIGIN: PREFLIGHT.origin } })
    const ada = await signUp(server)

    for (const url of ['/verify', '/verify/secret']) {
      const refused = await server.inject({ method: 'OPTIONS', url, headers: PREFLIGHT })
      assertChallenged(t, refused, 'missing_token')
      t.equal(refused.headers['access-control-allow-origin'], undefined)
      assertChallenged(t, await server.inject({ method: 'OPTIONS', url }), 'missing_token')
      assertPassed(t, await ada.inject({ method: 'OPTIONS', url, headers: PREFLIGHT }), { 'x-auth-subject': ada.user.id })
    }
    t.equal((await server.inject({ method: 'OPTIONS', url: '/secret', headers: PREFLIGHT })).statusCode, 204)
  })
})

/** Somebody with these roles. */
async function signUpWith (server: FastifyInstance, roles: string[]) {
  const { user } = await signUp(server, { username: 'ada' })
  await server.db.users.update(user.id, { roles }, NO_HOLD)
  return signIn(server, 'ada')
}

/** Asserts that the answer lets a request pass, with all identity headers and no body. */
function assertPassed (t: Test, { statusCode, body, headers }: LightMyRequestResponse, wanted: Record<string, string>) {
  t.equal(statusCode, 200)
  t.equal(body, '')
  for (const name of ['x-auth-subject', 'x-auth-session', 'x-auth-roles', 'x-auth-token-id']) t.match(headers[name], /^[\w%.,!~*'()-]+$/, name)
  t.match(headers, wanted)
}

/** Asserts that the answer is a 401 with one challenge, and tells nothing of anybody. */
function assertChallenged (t: Test, response: LightMyRequestResponse, code: string) {
  assertRefused(t, response, 401, code)
  t.match(response.headers['www-authenticate'], code === 'missing_token' ? /^Bearer$/ : /^Bearer error="invalid_token", error_description="[^"]+"$/)
  t.equal(response.headers['cache-control'], 'no-store')
  for (const name of ['x-auth-subject', 'x-auth-session', 'x-auth-roles', 'x-auth-token-id']) t.equal(response.headers[name], undefined)
}
