import { stat } from 'node:fs/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { assertRefused, bearer, build, createClock, databaseUrl, forge, signUp, signUpAdmin, stockRoute } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

t.test('An access token', async (t) => {
  t.test('says what RFC 9068 asks for, and no more', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { ISSUER: 'https://id.example.com', AUDIENCE: 'shop', CLIENT_ID: 'web', ACCESS_TOKEN_TTL: '5m' }, now: clock.now })
    const ada = await signUp(server)

    const { header, claims } = read(ada.access_token)

    const seconds = clock.now() / 1000
    t.same(header, { alg: 'ES256', typ: 'at+jwt', kid: server.signingKeys.current().kid })
    t.match(claims.jti, /^[\w-]{22}$/)
    t.match(claims.sid, /^[\w-]{22}$/)
    t.same(claims, {
      iss: 'https://id.example.com',
      aud: 'shop',
      sub: ada.user.id,
      client_id: 'web',
      iat: seconds,
      exp: seconds + 300,
      jti: claims.jti,
      sid: claims.sid,
      roles: [],
      auth_time: seconds,
      status: { status_list: { idx: claims.status.status_list.idx, uri: claims.status.status_list.uri } }
    })
    t.match(claims.status.status_list.uri, /^https:\/\/id\.example\.com\/status\/[\w-]{12}$/)
    t.ok(Number.isSafeInteger(claims.status.status_list.idx))
  })

  t.test('says which roles its user has', async (t) => {
    const server = await build(t)

    const admin = await signUpAdmin(server)

    t.same(read(admin.access_token).claims.roles, ['admin'])
  })

  t.test('keeps its session and the time of its login over a refresh, and gets an id and times of its own', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const ada = await signUp(server)
    const before = read(ada.access_token).claims

    clock.advance(60)
    const after = read((await ada.refresh()).json().access_token).claims

    t.match(after, { sid: before.sid, auth_time: before.auth_time, iat: before.iat + 60, exp: before.exp + 60 })
    t.not(after.jti, before.jti)
  })
})

t.test('A token that was good a moment ago', async (t) => {
  t.test('is refused by the stock `jwtVerify` too once it has expired', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now, routes: stockRoute })
    const ada = await signUp(server)
    t.equal((await ada.inject({ url: '/stock' })).statusCode, 200)

    clock.advance(900)
    const response = await ada.inject({ url: '/stock' })

    t.equal(response.statusCode, 401)
    t.equal(response.json().code, 'token_expired')
  })

  t.test('is refused by the very next request once its session is over', async (t) => {
    const server = await build(t, { routes: stockRoute })
    const ada = await signUp(server)
    for (const url of ['/secret', '/secret', '/stock']) t.equal((await ada.inject({ url })).statusCode, 200)

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    for (const url of ['/secret', '/stock']) {
      const response = await ada.inject({ url })
      t.equal(response.statusCode, 401)
      t.equal(response.json().code, 'token_revoked')
    }
  })

  t.test('is refused alone when its own id is revoked', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)
    const refreshed = (await ada.refresh()).json()
    const { jti, exp } = read(ada.access_token).claims

    await server.db.revocations.add(jti, exp * 1000)

    t.equal((await ada.inject({ url: '/secret' })).json().code, 'token_revoked')
    t.equal((await server.inject({ url: '/secret', headers: bearer(refreshed.access_token) })).statusCode, 200)
  })

  t.test('is refused though it is revoked while its signature is still being checked', async (t) => {
    const url = databaseUrl(t)
    const server = await build(t, { env: { DATABASE_URL: url } })
    const ada = await signUp(server)
    const elsewhere = new Client(url.slice('file:'.length))
    t.teardown(() => elsewhere.close())

    const verifying = server.accessTokens.verify(ada.access_token)
    elsewhere.prepare('insert into revocations (kind, revoked_id, until) values (?, ?, ?)').run('sid', read(ada.access_token).claims.sid, Date.now() + 900_000)

    await t.rejects(async () => verifying, { code: 'token_revoked' })
  })

  t.test('is refused in every other spelling, too', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)
    const spellings = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', (last) => ada.access_token.slice(0, -1) + last)
    const statuses = async () => Promise.all(spellings.map(async (token) => (await server.inject({ url: '/secret', headers: bearer(token) })).statusCode))
    const before = await statuses()

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    t.ok(before.includes(200))
    t.same(await statuses(), spellings.map(() => 401))
  })
})

t.test('accessTokens.read', async (t) => {
  t.test('gives the claims of a good token, undefined for a refused one, and fails when the database does not answer', async (t) => {
    const server = await build(t)
    const { accessTokens, db } = server
    const { access_token: token, user } = await signUp(server)

    t.match(await accessTokens.read(token), { sub: user.id })
    t.equal(await accessTokens.read(`${token}x`), undefined)
    await db.close()
    await stat('.') // what is read in the same turn is remembered

    await t.rejects(accessTokens.read(token), /not open/)
  })
})

t.test('A claim that is there already cannot be added', async (t) => {
  const { accessTokens } = await build(t)

  for (const name of ['sub', 'exp', 'roles', 'status']) t.throws(() => accessTokens.addClaim(name, { valueOf: () => 1, isValid: () => true }), /is taken/, name)
})

t.test('accessTokens.addClaim', async (t) => {
  const routes: FastifyPluginAsync = async ({ accessTokens }) => {
    accessTokens.addClaim('device', { valueOf: ({ userAgent }) => userAgent, isValid: (value) => typeof value === 'string' })
  }
  const server = await build(t, { routes })
  const ada = await signUp(server)
  const forged = (claims: object) => forge(ada.access_token, server.signingKeys.current().privateKey, claims)
  const secretWith = (token: string) => server.inject({ url: '/secret', headers: bearer(token) })

  t.test('adds a claim to every token', async (t) => {
    t.equal(read(ada.access_token).claims.device, 'lightMyRequest')
    t.equal(read((await ada.refresh()).json().access_token).claims.device, 'lightMyRequest')
    t.equal((await secretWith(ada.access_token)).statusCode, 200)
  })

  t.test('refuses tokens of ours without the claim, or with a wrong one', async (t) => {
    t.equal((await secretWith(forged({ device: 'another' }))).statusCode, 200)
    for (const claims of [{ device: undefined }, { device: 5 }, { device: null }]) assertRefused(t, await secretWith(forged(claims)), 401, 'invalid_token')
  })

  t.test('leaves alone how a token is revoked', async (t) => {
    const bea = await signUp(server)
    const { status } = read(bea.access_token).claims

    await server.accessTokens.revoke(await server.accessTokens.verify(bea.access_token), 'service')

    assertRefused(t, await secretWith(bea.access_token), 401, 'token_revoked')
    t.same(await server.db.statusLists.revoked(status.status_list.uri.split('/').at(-1)), [status.status_list.idx])
  })

  t.test('refuses tokens of ours without the claim `status` of the status lists', async (t) => {
    assertRefused(t, await secretWith(forged({ status: undefined })), 401, 'invalid_token')
  })
})

function read (token: string) {
  const [header = '', payload = ''] = token.split('.')
  return { header: decode(header), claims: decode(payload) }
}

function decode (part: string) {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
