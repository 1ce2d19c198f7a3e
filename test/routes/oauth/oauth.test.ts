import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import Client from 'better-sqlite3'
import t from 'tap'
import { assertOver, assertRefused, basic, bearer, build, buildShared, claimsOf, createClock, createLog, databaseUrl, signIn, signUp, signUpAdmin, signUpClient } from '../../helper.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

const SECOND = 1000

const clock = createClock()
const log = createLog()
const server = await buildShared(t, { env: { ISSUER: 'https://id.example.com', REFRESH_GRACE: '0s' }, now: clock.now, logger: log.logger })
const client = await signUpClient(server)
await server.listen({ host: '127.0.0.1', port: 0 })

function post (what: 'introspect' | 'revoke', payload: object | string, headers: Record<string, string> = client) {
  return server.inject({ method: 'POST', url: `/oauth/${what}`, payload, headers })
}

/** A service, and the file of its database to break. */
async function startBroken (t: Test) {
  const broken = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
  const file = new Client(broken.db.file)
  t.teardown(() => file.close())
  return { broken, file }
}

async function introspected (token: string) {
  const response = await post('introspect', { token })
  return response.json()
}

/** Sends a request over a socket, its body in two pieces, and does something between them when the service waits for the second. */
async function sendInTwo ({ server }: FastifyInstance, head: string[], body: string, between: () => Promise<unknown>): Promise<string> {
  const arrived = once(server, 'request')
  const { port } = server.address() as AddressInfo // it listens on a port
  const socket = connect(port, '127.0.0.1')
  socket.write([...head, 'Host: localhost', 'Connection: close', 'Content-Type: application/json', `Content-Length: ${body.length}`, '', body.slice(0, -1)].join('\r\n'))
  await arrived
  await between()
  socket.write(body.slice(-1))
  return text(socket)
}

async function statusOf (token: string) {
  const { statusCode } = await server.inject({ url: '/secret', headers: bearer(token) })
  return statusCode
}

t.test('POST /oauth/introspect', async (t) => {
  t.test('gives all claims of a good access token', async (t) => {
    const admin = await signUpAdmin(server)
    const claims = claimsOf(admin.access_token)

    const response = await post('introspect', { token: admin.access_token })

    t.equal(response.statusCode, 200)
    t.equal(response.headers['cache-control'], 'no-store')
    t.same(response.json(), { active: true, token_type: 'Bearer', ...claims })
    t.match(claims, { iss: 'https://id.example.com', sub: admin.user.id, roles: ['admin'] })
  })

  t.test('gives the session and the expiry of a good refresh token', async (t) => {
    const ada = await signUp(server)
    clock.advance(60)
    const refreshed = (await ada.refresh()).json()
    const seconds = clock.now() / SECOND

    t.same(await introspected(refreshed.refresh_token), {
      active: true,
      token_type: 'refresh_token',
      iss: 'https://id.example.com',
      client_id: 'postern',
      sub: ada.user.id,
      sid: claimsOf(ada.access_token).sid,
      iat: seconds,
      exp: seconds + refreshed.refresh_token_expires_in
    })
  })

  t.test('says only that any other token is inactive', async (t) => {
    const over = await signUp(server)
    await over.inject({ method: 'POST', url: '/auth/logout' })
    const used = await signUp(server)
    await used.refresh()
    const expired = await signUp(server)
    clock.advance(31 * 86_400)
    const ada = await signUp(server)
    const tokens = [over.access_token, over.refresh_token, used.refresh_token, expired.access_token, expired.refresh_token, `${ada.access_token}x`, `${ada.refresh_token.slice(0, -4)}AAAA`, 'garbage', 'prt_', 'eyJ', '\0', '🦉']

    for (const token of tokens) {
      const response = await post('introspect', { token })

      t.equal(response.statusCode, 200)
      t.same(response.json(), { active: false }, token)
    }
    t.equal((await ada.refresh()).statusCode, 200)
  })

  t.test('does not use up a refresh token', async (t) => {
    const ada = await signUp(server)

    for (let i = 0; i < 3; i++) t.equal((await introspected(ada.refresh_token)).active, true)

    t.equal((await ada.refresh()).statusCode, 200)
  })

  t.test('takes a form, a hint whether right or wrong, and parameters that it does not know', async (t) => {
    const { access_token: token, refresh_token: refreshToken } = await signUp(server)
    const form = { 'content-type': 'application/x-www-form-urlencoded', ...client }
    const bodies: Array<Record<string, string>> = [{ token }, { token, token_type_hint: 'access_token' }, { token, token_type_hint: 'refresh_token' }, { token, token_type_hint: 'saml' }, { token, resource: 'x', client_id: 'y', '': '' },
      { token: refreshToken, token_type_hint: 'access_token' }]

    for (const body of bodies) {
      t.match((await post('introspect', body)).json(), { active: true })
      t.match((await post('introspect', new URLSearchParams(body).toString(), form)).json(), { active: true })
    }
  })

  t.test('refuses a body without a token', async (t) => {
    for (const payload of [{}, { token: '' }, { token: 5 }, { token: ['a'] }, { token: 'x'.repeat(8193) }]) assertRefused(t, await post('introspect', payload), 400, 'validation_failed')
    assertRefused(t, await post('introspect', '', { 'content-type': 'application/json', ...client }), 400, 'validation_failed')
  })

  t.test('says of every refusal what RFC 6749 has for it, too', async (t) => {
    const { broken, file } = await startBroken(t)
    const headers = await signUpClient(broken)
    const ask = (payload: object, headers?: Record<string, string>) => broken.inject({ method: 'POST', url: '/oauth/introspect', headers, payload })
    const refusals = [await ask({ token: 'x' }), await ask({}, headers), await ask({ token: 'x' }, { ...headers, 'content-type': 'text/plain' })]
    file.exec('alter table clients rename to away')
    refusals.push(await ask({ token: 'x' }, headers))
    await broken.close()

    t.same(refusals.map((refusal) => refusal.json().error), ['invalid_client', 'invalid_request', 'invalid_request', 'server_error'])
    for (const refusal of refusals) {
      const { detail, error_description: description } = refusal.json()
      t.equal(description, detail)
      t.match(description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
    }
    t.notOk(Object.hasOwn((await server.inject({ url: '/secret' })).json(), 'error'))
  })

  t.test('refuses a POST without a body', async (t) => {
    assertRefused(t, await server.inject({ method: 'POST', url: '/oauth/introspect', headers: client }), 400, 'validation_failed')
  })

  t.test('answers with an error while the database cannot be read', async (t) => {
    const { broken, file } = await startBroken(t)
    const { access_token: token } = await signUp(broken)
    const headers = await signUpClient(broken)
    const introspect = () => broken.inject({ method: 'POST', url: '/oauth/introspect', headers, payload: { token } })
    t.match((await introspect()).json(), { active: true })

    file.exec('alter table revocations rename to away')
    await stat('.') // what another process wrote is seen by what comes from outside afterwards
    assertRefused(t, await introspect(), 500, 'internal_error')
    file.exec('alter table away rename to revocations')

    t.match((await introspect()).json(), { active: true })
  })
})

t.test('POST /oauth/revoke', async (t) => {
  t.test('does not say that a token is revoked when the database cannot tell', async (t) => {
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
    const headers = await signUpClient(server)
    const { access_token: token } = await signUp(server)
    const file = new Client(server.db.file)
    t.teardown(() => file.close())

    file.exec('alter table revocations rename to away')
    await stat('.') // what another process wrote is seen by what comes from outside afterwards

    t.equal((await server.inject({ method: 'POST', url: '/oauth/revoke', headers, payload: { token } })).statusCode, 500)
    file.exec('alter table away rename to revocations')
  })

  t.test('ends an access token, and leaves its session and the session\'s other tokens alone', async (t) => {
    const ada = await signUp(server)
    const other = (await ada.refresh()).json()
    t.equal(await statusOf(ada.access_token), 200)

    const response = await post('revoke', { token: ada.access_token })

    t.equal(response.statusCode, 200)
    t.equal(response.body, '')
    t.equal(response.headers['cache-control'], 'no-store')
    assertRefused(t, await ada.inject({ url: '/secret' }), 401, 'token_revoked')
    t.same(await introspected(ada.access_token), { active: false })
    t.equal(await statusOf(other.access_token), 200)
    t.equal((await ada.refresh(other.refresh_token)).statusCode, 200)
  })

  t.test('ends with a refresh token its session, and no other', async (t) => {
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')

    t.equal((await post('revoke', { token: phone.refresh_token })).statusCode, 200)

    await assertOver(t, server, phone)
    t.equal(await statusOf(laptop.access_token), 200)
  })

  t.test('ends a session with a refresh token that was used before, too', async (t) => {
    const ada = await signUp(server)
    const next = (await ada.refresh()).json()

    await post('revoke', { token: ada.refresh_token })

    await assertOver(t, server, next)
  })

  t.test('answers the same to a bad or revoked token, and does nothing', async (t) => {
    const ada = await signUp(server)
    const bea = await signUp(server)
    const { body } = await post('revoke', { token: ada.access_token })

    for (const token of [ada.access_token, `${bea.refresh_token.slice(0, -4)}AAAA`, `${bea.access_token.slice(0, -4)}AAAA`, 'garbage', bea.user.id]) {
      const response = await post('revoke', { token })
      t.equal(response.statusCode, 200)
      t.equal(response.body, body)
    }

    t.equal(await statusOf(bea.access_token), 200)
    t.equal((await bea.refresh()).statusCode, 200)
  })

  t.test('takes a form, and ignores a wrong hint', async (t) => {
    const ada = await signUp(server)

    await post('revoke', new URLSearchParams({ token: ada.access_token, token_type_hint: 'refresh_token', more: 'x' }).toString(), { 'content-type': 'application/x-www-form-urlencoded', ...client })

    t.equal(await statusOf(ada.access_token), 401)
  })

  t.test('logs what it ended, and no token', async (t) => {
    const ada = await signUp(server)
    const { jti, sid } = claimsOf(ada.access_token)

    await post('revoke', { token: ada.access_token })
    await post('revoke', { token: ada.refresh_token })

    t.match(log.lines.filter(({ event }) => event === 'revoked').slice(-2), [{ level: 30, token: jti }, { level: 30, session: sid }])
    for (const token of [ada.access_token, ada.refresh_token]) t.notOk(JSON.stringify(log.lines).includes(token))
  })
})

t.test('A client', async (t) => {
  const { user: { username }, access_token: token } = await signUp(server)
  const [id = '', secret = ''] = Buffer.from(client.authorization.slice('Basic '.length), 'base64').toString().split(':')
  const other = await signUpClient(server)
  const encode = (text: string) => Buffer.from(text).toString('base64')

  const wrong: Record<string, string | undefined> = {
    'says nothing': undefined,
    'has a wrong secret': basic(id, `${secret}x`).authorization,
    'has the secret of another': basic(id, other.authorization).authorization,
    'has no secret': basic(id, '').authorization,
    'has half a secret': basic(id, secret.slice(0, 20)).authorization,
    'is unknown': basic('nobody', secret).authorization,
    'is nobody': basic('', '').authorization,
    'is a person': basic(username, 'seven yellow umbrellas').authorization,
    'has a token': `Bearer ${token}`,
    'has a secret with more after it': basic(id, `${secret}:more`).authorization,
    'has an escape that is none': basic(id, `%zz${secret}`).authorization,
    'has bytes before its credentials': basic(id, secret).authorization.replace('Basic', 'Basic x'),
    'has its credentials in clear': `Basic ${id}:${secret}`,
    'has no credentials': 'Basic',
    'has credentials with a blank in them': `Basic ${encode(`${id}:`)} ${encode(secret)}`,
    'has another scheme': `Digest ${encode(`${id}:${secret}`)}`
  }
  for (const [what, authorization] of Object.entries(wrong)) {
    t.test(`is refused when it ${what}`, async (t) => {
      for (const what of ['introspect', 'revoke'] as const) {
        const response = await post(what, { token }, { ...authorization !== undefined && { authorization } })

        assertRefused(t, response, 401, 'invalid_client')
        t.equal(response.json().error, 'invalid_client')
        t.equal(response.headers['www-authenticate'], 'Basic realm="postern", charset="UTF-8"')
        t.notOk(response.body.includes(id))
      }
    })
  }

  t.test('may write Basic as it likes', async (t) => {
    for (const scheme of ['Basic', 'basic', 'BASIC']) t.equal((await post('introspect', { token }, { authorization: client.authorization.replace('Basic', scheme) })).statusCode, 200)
  })

  t.test('may escape its id and its secret, as RFC 6749 demands, whatever it escapes', async (t) => {
    const every = (text: string) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('')
    const punctuation = (text: string) => encodeURIComponent(text).replaceAll(/[-_.!~*'()]/g, every)
    const dotted = 'my-api_1.0'
    const itsSecret = await server.apiClients.create(dotted)

    for (const escape of [encodeURIComponent, punctuation, every]) {
      t.equal((await post('introspect', { token }, basic(escape(id), escape(secret)))).statusCode, 200)
      t.equal((await post('introspect', { token }, basic(escape(dotted), escape(itsSecret!)))).statusCode, 200)
    }
  })

  t.test('may send its credentials in the body instead, as JSON or as a form', async (t) => {
    const { access_token: token } = await signUp(server)
    const body = { client_id: id, client_secret: secret, token }
    const form = { 'content-type': 'application/x-www-form-urlencoded' }

    t.match((await post('introspect', body, {})).json(), { active: true })
    t.match((await post('introspect', new URLSearchParams(body).toString(), form)).json(), { active: true })
    t.equal((await post('revoke', { ...body, token: 'x' }, {})).statusCode, 200)
    for (const wrong of [{ ...body, client_secret: `${secret}x` }, { ...body, client_id: [id] }, { ...body, client_secret: undefined }, { token }, [body], 'x', null]) {
      assertRefused(t, await post('introspect', JSON.stringify(wrong), { 'content-type': 'application/json' }), 401, 'invalid_client')
    }
    for (const authorization of [basic(id, 'x').authorization, `Bearer ${token}`]) assertRefused(t, await post('introspect', body, { authorization }), 401, 'invalid_client')
  })

  t.test('is refused when it is deleted before its body has come', async (t) => {
    for (const what of ['introspect', 'revoke']) {
      const { apiClients } = server
      const late = `late-${what}`
      const headers = basic(late, (await apiClients.create(late))!)
      const ada = await signUp(server)
      const body = JSON.stringify({ token: ada.access_token })
      const answer = await sendInTwo(server, [`POST /oauth/${what} HTTP/1.1`, `Authorization: ${headers.authorization}`], body, () => apiClients.remove(late))

      t.match(answer, /^HTTP\/1\.1 401 [^]*"code":"invalid_client"/)
      t.equal(await statusOf(ada.access_token), 200)
    }
  })

  t.test('is refused once it is deleted', async (t) => {
    const [id = ''] = Buffer.from(other.authorization.slice('Basic '.length), 'base64').toString().split(':')
    t.equal((await post('introspect', { token }, other)).statusCode, 200)

    t.equal(await server.db.apiClients.remove(id), true)

    assertRefused(t, await post('introspect', { token }, other), 401, 'invalid_client')
  })

  t.test('gets an id once, and a secret that is not kept', async (t) => {
    t.equal(await server.apiClients.create(id), undefined)
    const [kept] = await server.db.apiClients.list()
    t.equal(kept!.id, id)
    t.notOk(JSON.stringify(kept).includes(secret))
    t.match(secret, /^[\w-]{43}$/)
  })

  t.test('cannot use its secret where people present tokens', async (t) => {
    for (const url of ['/secret', '/verify', '/users', '/auth/me']) t.equal((await server.inject({ url, headers: client })).statusCode, 401, url)
  })
})

t.test('A client that is deleted while its request is under way revokes nothing', async (t) => {
  const server = await build(t)
  const client = await signUpClient(server)
  const ada = await signUp(server)
  const { add } = server.db.revocations
  t.intercept(server.db.revocations, 'add', {
    async value (...args: Parameters<typeof add>) {
      for (const { id } of await server.apiClients.list()) await server.apiClients.remove(id)
      return add(...args)
    }
  })

  const response = await server.inject({ method: 'POST', url: '/oauth/revoke', headers: client, payload: { token: ada.access_token } })

  assertRefused(t, response, 401, 'invalid_client')
  t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
})

t.test('A token that is revoked while the clock is wrong stays revoked when it is right', async (t) => {
  for (const [name, seconds] of [['ahead', 3600], ['behind', -3600]] as const) {
    t.test(name, async (t) => {
      const clock = createClock()
      const server = await build(t, { now: clock.now, uptime: clock.uptime })
      const client = await signUpClient(server)
      const ada = await signUp(server)
      clock.set(seconds)

      const response = await server.inject({ method: 'POST', url: '/oauth/revoke', headers: client, payload: { token: ada.access_token } })
      clock.set(-seconds)

      t.equal(response.statusCode, 200)
      assertRefused(t, await ada.inject({ url: '/secret' }), 401, 'token_revoked')
    })
  }
})
