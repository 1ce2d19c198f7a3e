import t from 'tap'
import { PASSWORD, assertRefused, bearer, build, createLog, signIn, signUp } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

t.test('A route that throws', async (t) => {
  const { lines, logger } = createLog()
  const unforeseen = Object.assign(new Error('no such table: users'), { detail: 'select * from users', code: 'SQLITE_ERROR' })
  const thrown: Record<string, unknown> = { error: unforeseen, text: 'a text', nothing: undefined, null: null, list: [1, 2] }
  const routes: FastifyPluginAsync = async (fastify) => {
    const { httpErrors, problem } = fastify
    fastify.get('/throw/:what', async (request) => { throw thrown[(request.params as { what: string }).what] })
    fastify.get('/absent', async () => { throw httpErrors.notFound('nobody reads this') })
    fastify.get('/closed', async () => { throw httpErrors.unauthorized() })
    fastify.get('/gone', async () => { throw httpErrors.gone('It moved to /new. Ask there.') })
    fastify.get('/odd', async () => { throw Object.assign(new Error('nobody reads this'), { statusCode: 599, expose: false }) })
    fastify.get('/problem', async () => { throw problem('busy', { detail: 'Come back on Monday.', headers: { 'retry-after': '60' }, cause: 'a holiday' }) })
    fastify.get('/late', (_request, reply) => { setImmediate(() => reply.send(unforeseen)) })
  }
  const server = await build(t, { env: { TRUST_PROXY: '127.0.0.1' }, logger, routes })
  const line = (level: number) => lines.findLast((line) => line.level === level)

  for (const what of Object.keys(thrown)) {
    t.test(`anything unforeseen is answered with 500, and shows nothing of it: ${what}`, async (t) => {
      const response = await server.inject({ url: `/throw/${what}`, headers: { 'x-request-id': `throw-${what}` } })

      t.equal(response.statusCode, 500)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.strictSame(response.json(), {
        type: 'about:blank',
        title: 'Internal Server Error',
        status: 500,
        detail: 'Something went wrong on our side and was logged. Try again, or give the operator the X-Request-Id.',
        code: 'internal_error'
      })
      t.match(line(50), { event: 'refused', code: 'internal_error', status: 500, method: 'GET', route: '/throw/:what', reqId: `throw-${what}`, msg: 'failed' })
    })
  }

  t.test('an unforeseen error has it logged whole', async (t) => {
    await server.inject({ url: '/late' })

    t.match(line(50), { err: { message: 'no such table: users', stack: /errors\.test\.ts/ } })
  })

  t.test('one of httpErrors is answered with its problem', async (t) => {
    const response = await server.inject({ url: '/absent' })

    t.equal(response.statusCode, 404)
    t.match(response.json(), { status: 404, code: 'not_found', detail: 'Nothing was found here. Check the address.' })
    t.match(line(30), { event: 'refused', code: 'not_found', route: '/absent', msg: 'refused' })
  })

  t.test('a 401 of httpErrors is answered with a challenge', async (t) => {
    const response = await server.inject({ url: '/closed' })

    t.equal(response.statusCode, 401)
    t.match(response.headers['www-authenticate'], /^Bearer error="invalid_token"/)
  })

  t.test('one of httpErrors that the catalogue does not know keeps its status and its text', async (t) => {
    const response = await server.inject({ url: '/gone' })

    t.strictSame(response.json(), { type: 'about:blank', title: 'Gone', status: 410, detail: 'It moved to /new. Ask there.', code: 'gone' })
    t.equal(response.statusCode, 410)
  })

  t.test('an error whose message is not to be exposed is answered without it', async (t) => {
    const response = await server.inject({ url: '/odd' })

    t.equal(response.statusCode, 599)
    t.notMatch(response.body, /nobody reads this/)
  })

  t.test('a problem is answered with it, with its own text and headers', async (t) => {
    const response = await server.inject({ url: '/problem' })

    t.equal(response.statusCode, 503)
    t.equal(response.headers['retry-after'], '60')
    t.strictSame(response.json(), { type: 'about:blank', title: 'Service Unavailable', status: 503, detail: 'Come back on Monday.', code: 'busy' })
  })
})

t.test('onRefusal', async (t) => {
  const heard: unknown[] = []
  const routes: FastifyPluginAsync = async ({ onRefusal }) => {
    for (const listener of ['one', 'two']) onRefusal((code, { id }) => { heard.push(`${listener}: ${code} to ${id}`) })
  }
  const server = await build(t, { env: { TRUST_PROXY: '127.0.0.1' }, routes })
  t.beforeEach(() => { heard.length = 0 })

  for (const [code, url] of [['missing_token', '/secret'], ['not_found', '/nowhere'], ['bad_request', '/users/%zz']] as const) {
    t.test(`calls every listener with the code and the request: ${code}`, async (t) => {
      await server.inject({ url, headers: { 'x-request-id': 'request-1' } })

      t.same(heard, [`one: ${code} to request-1`, `two: ${code} to request-1`])
    })
  }

  t.test('logs a listener that throws, and answers as without it', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { logger, routes: async ({ onRefusal }) => { onRefusal(() => { throw new Error('a broken listener') }) } })

    const response = await server.inject({ url: '/secret' })

    assertRefused(t, response, 401, 'missing_token')
    t.match(lines.find(({ level }) => level === 50), { err: { message: 'a broken listener' } })
  })

  t.test('calls no listener for an answer that is no refusal', async (t) => {
    await server.inject({ url: '/health/live' })

    t.same(heard, [])
  })
})

t.test('An address', async (t) => {
  const { lines, logger } = createLog()
  const server = await build(t, { env: { TRUST_PROXY: '127.0.0.1' }, logger })

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
    await server.inject({ url: '/secret', headers: bearer(refreshed.access_token) })
    const last = await signIn(server, 'ada', 'eight purple elephants')
    await last.inject({ method: 'DELETE', url: '/auth/me', payload: { password: 'eight purple elephants' } })

    const log = JSON.stringify(lines)
    const events = ['registered', 'refused', 'password_changed', 'signed_in', 'refreshed', 'reuse_detected', 'account_deleted']
    for (const event of events) t.match(log, `"event":"${event}"`)
    for (const secret of [PASSWORD, 'eight purple elephants', 'maiden name', 'eyJ', 'prt_', '$argon2', ...[ada, again, refreshed].map((tokens) => tokens.access_token.split('.')[2])]) t.notMatch(log, secret)
  })
})
