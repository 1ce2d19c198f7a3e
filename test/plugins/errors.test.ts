import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { options } from '../../app.ts'
import { readConfig } from '../../plugins/config.ts'
import { codeOf } from '../../plugins/errors.ts'
import { PASSWORD, build, converse, createLog, signIn, signUp } from '../helper.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'

t.test('An error of others', async (t) => {
  const meanings: Record<string, string[]> = {
    database_unavailable: ['SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT', 'SQLITE_LOCKED', 'SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_READONLY_DBMOVED', 'SQLITE_CANTOPEN', 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_PROTOCOL'],
    internal_error: ['SQLITE_ERROR', 'SQLITE_CONSTRAINT_UNIQUE', 'ERR_INVALID_ARG_TYPE', 'toString', '__proto__', ''],
    validation_failed: ['FST_ERR_VALIDATION'],
    invalid_json: ['FST_ERR_CTP_INVALID_JSON_BODY', 'FST_ERR_CTP_EMPTY_JSON_BODY'],
    missing_token: ['FST_JWT_NO_AUTHORIZATION_IN_HEADER'],
    invalid_token: ['FST_JWT_BAD_REQUEST', 'FST_JWT_AUTHORIZATION_TOKEN_INVALID', 'FAST_JWT_INVALID_ALGORITHM'],
    headers_too_large: ['HPE_HEADER_OVERFLOW'],
    request_timeout: ['ERR_HTTP_REQUEST_TIMEOUT'],
    rate_limited: ['rate_limited']
  }
  for (const [meaning, codes] of Object.entries(meanings)) {
    for (const code of codes) {
      t.test(`means ${meaning}: ${code}`, async (t) => {
        t.equal(codeOf({ code }), meaning)
      })
    }
  }

  t.test('keeps its status where it has a 4xx of ours, and is a bad request where it has another', async (t) => {
    const statuses = { 400: 'bad_request', 401: 'invalid_token', 403: 'forbidden', 404: 'not_found', 409: 'bad_request', 413: 'body_too_large', 414: 'uri_too_long', 415: 'unsupported_media_type', 429: 'rate_limited', 499: 'bad_request' }

    for (const [status, code] of Object.entries(statuses)) t.equal(codeOf({ statusCode: Number(status) }), code)
  })

  t.test('is ours where it has any other status', async (t) => {
    for (const statusCode of [200, 302, 399, 500, 503]) t.equal(codeOf({ statusCode }), 'internal_error')
  })
})

t.test('A route that throws', async (t) => {
  const { lines, logger } = createLog()
  const unforeseen = Object.assign(new Error('no such table: users'), { detail: 'select * from users', code: 'SQLITE_ERROR' })
  const thrown: Record<string, unknown> = { error: unforeseen, text: 'a text', nothing: undefined, null: null, list: [1, 2] }
  const routes: FastifyPluginAsync = async (fastify) => {
    const { httpErrors, problem } = fastify
    fastify.get('/throw/:what', async (request) => { throw thrown[(request.params as { what: string }).what] })
    fastify.get('/absent', async () => { throw httpErrors.notFound('nobody reads this') })
    fastify.get('/closed', async () => { throw httpErrors.unauthorized() })
    fastify.get('/gone', async () => { throw httpErrors.gone('It moved to /new: ask there.') })
    fastify.get('/odd', async () => { throw Object.assign(new Error('nobody reads this'), { statusCode: 599, expose: false }) })
    fastify.get('/problem', async () => { throw problem('busy', { detail: 'Come back on Monday.', headers: { 'retry-after': '60' }, cause: 'a holiday' }) })
    fastify.get('/late', (_request, reply) => { setImmediate(() => reply.send(unforeseen)) })
  }
  const server = await build(t, { logger, routes })
  const line = (level: number) => lines.findLast((line) => line.level === level)

  for (const what of Object.keys(thrown)) {
    t.test(`what nobody foresaw answers 500 and tells nothing of it: ${what}`, async (t) => {
      const response = await server.inject({ url: `/throw/${what}`, headers: { 'x-request-id': `throw-${what}` } })

      t.equal(response.statusCode, 500)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.strictSame(response.json(), {
        type: 'about:blank',
        title: 'Internal Server Error',
        status: 500,
        detail: 'Something went wrong here and was logged: try again, or tell the operator the X-Request-Id.',
        code: 'internal_error'
      })
      t.match(line(50), { event: 'refused', code: 'internal_error', status: 500, method: 'GET', route: '/throw/:what', reqId: `throw-${what}`, msg: 'failed' })
    })
  }

  t.test('an error logs it whole', async (t) => {
    await server.inject({ url: '/late' })

    t.match(line(50), { err: { message: 'no such table: users', stack: /errors\.test\.ts/ } })
  })

  t.test('one of httpErrors answers its problem', async (t) => {
    const response = await server.inject({ url: '/absent' })

    t.equal(response.statusCode, 404)
    t.match(response.json(), { status: 404, code: 'not_found', detail: 'There is nothing here: check the address.' })
    t.match(line(30), { event: 'refused', code: 'not_found', route: '/absent', msg: 'refused' })
  })

  t.test('a 401 of httpErrors answers with a challenge', async (t) => {
    const response = await server.inject({ url: '/closed' })

    t.equal(response.statusCode, 401)
    t.match(response.headers['www-authenticate'], /^Bearer error="invalid_token"/)
  })

  t.test('one of httpErrors that the catalogue does not know keeps its status and its words', async (t) => {
    const response = await server.inject({ url: '/gone' })

    t.strictSame(response.json(), { type: 'about:blank', title: 'Gone', status: 410, detail: 'It moved to /new: ask there.', code: 'gone' })
    t.equal(response.statusCode, 410)
  })

  t.test('an error whose message is not to be exposed keeps it', async (t) => {
    const response = await server.inject({ url: '/odd' })

    t.equal(response.statusCode, 599)
    t.notMatch(response.body, /nobody reads this/)
  })

  t.test('a problem answers it, with its own words and headers', async (t) => {
    const response = await server.inject({ url: '/problem' })

    t.equal(response.statusCode, 503)
    t.equal(response.headers['retry-after'], '60')
    t.strictSame(response.json(), { type: 'about:blank', title: 'Service Unavailable', status: 503, detail: 'Come back on Monday.', code: 'busy' })
  })
})

t.test('A body', async (t) => {
  const server = await build(t)
  const register = (payload: string | object, type = 'application/json') => server.inject({ method: 'POST', url: '/auth/register', payload, headers: { 'content-type': type } })

  for (const [name, payload] of [
    ['broken', '{"username":'],
    ['poisoned', '{"username":"ada","password":"seven yellow umbrellas","__proto__":{"admin":true}}'],
    ['poisoned otherwise', '{"username":"ada","password":"seven yellow umbrellas","constructor":{"prototype":{}}}']
  ]) {
    t.test(`that is ${name} is invalid_json`, async (t) => {
      const response = await register(payload!)

      t.equal(response.statusCode, 400)
      t.equal(response.json().code, 'invalid_json')
    })
  }

  for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'nonsense']) {
    t.test(`that is neither JSON nor a form is refused: ${type}`, async (t) => {
      const response = await register('{}', type)

      t.equal(response.statusCode, 415)
      t.equal(response.json().code, 'unsupported_media_type')
    })
  }

  t.test('that is too large is refused', async (t) => {
    const response = await register({ username: 'ada', password: 'x'.repeat(16 * 1024) })

    t.equal(response.statusCode, 413)
    t.equal(response.json().code, 'body_too_large')
  })

  t.test('that is not as documented is answered with a pointer (RFC 6901) to each fault', async (t) => {
    const response = await register({ username: 5, email: 'bell\u0007@example.com', 'a/b~c': 1, ['x'.repeat(500)]: 1 })

    t.equal(response.statusCode, 400)
    t.equal(response.json().code, 'validation_failed')
    const errors = new Map(response.json().errors.map(({ pointer, detail }: { pointer: string, detail: string }) => [pointer, detail]))
    t.equal(errors.get('/username'), 'must be string')
    t.equal(errors.get('/email'), 'has characters that are not allowed here')
    t.equal(errors.get('/password'), "must have required property 'password'")
    t.equal(errors.get('/a~1b~0c'), 'is not a known field')
    t.equal(errors.get(`/${'x'.repeat(64)}`), 'is not a known field')
  })

  t.test('that has more than 20 faults is answered with the first 20', async (t) => {
    const faults = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 0]))

    t.equal((await register(faults)).json().errors.length, 20)
  })

  t.test('that is no object is answered with a pointer to the whole', async (t) => {
    t.match((await register('[]')).json().errors, [{ pointer: '', detail: 'must be object' }])
  })
})

t.test('An address', async (t) => {
  const { lines, logger } = createLog()
  const server = await build(t, { logger })

  for (const [name, url, status, code] of [
    ['nobody knows', '/nowhere', 404, 'not_found'],
    ['cannot be decoded', '/users/%zz', 400, 'bad_request'],
    ['is too long', `/users/${'a'.repeat(500)}`, 414, 'uri_too_long']
  ] as const) {
    t.test(`that ${name} answers a problem, is logged, and cannot be taken for a page`, async (t) => {
      const response = await server.inject({ url, headers: { 'x-request-id': `address-${status}` } })

      t.equal(response.statusCode, status)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.match(response.json(), { status, code })
      t.match(response.headers, { 'x-request-id': `address-${status}`, 'x-content-type-options': 'nosniff' })
      t.match(lines.at(-1), { event: 'refused', code, reqId: `address-${status}` })
    })
  }
})

t.test('A connection', async (t) => {
  const server = await build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })

  for (const [name, request, status, code] of [
    ['on which no HTTP comes', 'NONSENSE', '400 Bad Request', 'bad_request'],
    ['with two lengths', 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6', '400 Bad Request', 'bad_request'],
    ['with a length and chunks', 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked', '400 Bad Request', 'bad_request'],
    ['whose headers are too large', `GET /secret HTTP/1.1\r\nHost: localhost\r\nCookie: ${'x'.repeat(20_000)}`, '431 Request Header Fields Too Large', 'headers_too_large']
  ] as const) {
    t.test(`${name} is answered with a problem and closed`, async (t) => {
      const answer = await converse(server, request)

      const [head = '', body = ''] = answer.split('\r\n\r\n')
      t.ok(head.startsWith(`HTTP/1.1 ${status}\r\n`), head)
      t.match(head, /\r\nContent-Type: application\/problem\+json\r\n/)
      t.match(head, /\r\nConnection: close/)
      t.match(JSON.parse(body), { status: Number.parseInt(status), code })
    })
  }

  t.test('whose request takes too long is answered with a problem and closed', async (t) => {
    const impatient = Fastify({ ...options(readConfig({})), http: { headersTimeout: 50, connectionsCheckingInterval: 10 } })
    t.teardown(() => impatient.close())
    await impatient.listen({ host: '127.0.0.1', port: 0 })
    const socket = connect((impatient.server.address() as AddressInfo).port, '127.0.0.1') // it listens on a port

    socket.write('GET / HTTP/1.1\r\n')
    const [answer] = await once(socket.setEncoding('utf8'), 'data')

    t.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    t.match(answer, '"code":"request_timeout"')
  })

  t.test('that the client breaks off harms nobody', async (t) => {
    const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1') // it listens on a port
    socket.write('POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{')
    await once(server.server, 'request')

    socket.resetAndDestroy()
    const [error, theirs] = await once(server.server, 'clientError')

    t.equal(error.code, 'ECONNRESET')
    t.equal(theirs.destroyed, true)
    t.equal((await server.inject({ url: '/health/live' })).statusCode, 200)
  })
})

t.test('No line of the log', async (t) => {
  t.test('holds a password, a token or a hash', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { logger, env: { REFRESH_GRACE: '0s' } })
    const ada = await signUp(server, { username: 'ada' })
    const login = (payload: object) => server.inject({ method: 'POST', url: '/auth/login', payload })
    const passwordChange = { current_password: PASSWORD, new_password: 'eight purple elephants' }

    await ada.inject({ url: `/nowhere?access_token=${ada.access_token}` })
    await login({ username: 'ada', password: 'mother\'s maiden name' })
    await login({ username: 'ada', password: PASSWORD, passwort: PASSWORD })
    await login({ username: { $ne: PASSWORD }, password: PASSWORD })
    await server.inject({ method: 'POST', url: '/auth/login', payload: `{"password":"${PASSWORD}"`, headers: { 'content-type': 'application/json' } })
    await ada.inject({ method: 'POST', url: '/auth/password', payload: passwordChange })
    const again = await signIn(server, 'ada', 'eight purple elephants')
    const refreshed = (await again.refresh()).json()
    await again.refresh()
    await server.inject({ url: '/secret', headers: { authorization: `Bearer ${refreshed.access_token}` } })
    await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: 'eight purple elephants' } })

    const log = JSON.stringify(lines)
    const events = ['registered', 'refused', 'password_changed', 'signed_in', 'refreshed', 'reuse_detected', 'account_deleted']
    for (const event of events) t.match(log, `"event":"${event}"`)
    for (const secret of [PASSWORD, 'eight purple elephants', 'maiden name', 'eyJ', 'prt_', '$argon2', ...[ada, again, refreshed].map((tokens) => tokens.access_token.split('.')[2])]) t.notMatch(log, secret)
  })
})
