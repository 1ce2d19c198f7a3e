import Client from 'better-sqlite3'
import t from 'tap'
import { build, createClock, databaseUrl, signIn, signUp, signUpAdmin, stockRoute } from '../helper.ts'

const SECRET = 'thirty-two bytes, or a few more of them'

t.test('An access token', async (t) => {
  t.test('says what RFC 9068 asks for, and no more', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { ISSUER: 'https://id.example.com', AUDIENCE: 'shop', CLIENT_ID: 'web', ACCESS_TOKEN_TTL: '5m' }, now: clock.now })
    const ada = await signUp(server)

    const { header, claims } = read(ada.access_token)

    const seconds = clock.now() / 1000
    t.same(header, { alg: 'ES256', typ: 'at+jwt', kid: server.keys.current().kid })
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

  t.test('is refused by itself when its own id is revoked', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)
    const refreshed = (await ada.refresh()).json()
    const { jti, exp } = read(ada.access_token).claims

    await server.db.revocations.add(jti, exp * 1000)

    t.equal((await ada.inject({ url: '/secret' })).json().code, 'token_revoked')
    t.equal((await server.inject({ url: '/secret', headers: { authorization: `Bearer ${refreshed.access_token}` } })).statusCode, 200)
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
    const statuses = async () => Promise.all(spellings.map(async (token) => (await server.inject({ url: '/secret', headers: { authorization: `Bearer ${token}` } })).statusCode))
    const before = await statuses()

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    t.ok(before.includes(200))
    t.same(await statuses(), spellings.map(() => 401))
  })
})

t.test('Remembered claims', async (t) => {
  t.test('cannot be changed by whoever gets them', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)
    const { roles } = await server.accessTokens.verify(ada.access_token)

    t.throws(() => roles.push('admin'))
    t.same((await server.accessTokens.verify(ada.access_token)).roles, [])
  })

  t.test('are told apart by token, for more tokens than are remembered', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, now: clock.now })
    const ada = await signUp(server, { username: 'ada' })
    const bea = await signUp(server, { username: 'bea' })
    const { accessTokens, db } = server
    const [session] = await db.sessions.list(bea.user.id, clock.now())
    const flood = async () => { for (let i = 0; i <= 16_384; i++) await accessTokens.verify(accessTokens.issue(session!)) }
    const subOf = async (token: string) => (await accessTokens.verify(token)).sub

    await accessTokens.verify(ada.access_token)
    await flood()
    t.equal(await subOf(ada.access_token), ada.user.id)
    await flood()
    t.equal(await subOf(ada.access_token), ada.user.id)
    await ada.inject({ method: 'POST', url: '/auth/logout' })

    t.throws(() => accessTokens.verify(ada.access_token), { code: 'token_revoked' })
    t.equal(await subOf(bea.access_token), bea.user.id)
    clock.advance(900)
    t.throws(() => accessTokens.verify(bea.access_token), { code: 'token_expired' })
  })

  t.test('are those of each of two sessions of one user', async (t) => {
    const server = await build(t)
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    for (const device of [phone, laptop]) t.equal((await device.inject({ url: '/secret' })).statusCode, 200)

    await phone.inject({ method: 'POST', url: '/auth/logout' })

    t.equal((await phone.inject({ url: '/secret' })).statusCode, 401)
    t.equal((await laptop.inject({ url: '/secret' })).statusCode, 200)
  })
})

t.test('The stock `jwtVerify`', async (t) => {
  t.test('opens with a token under a shared secret', async (t) => {
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, routes: stockRoute })
    const ada = await signUp(server)

    const response = await ada.inject({ url: '/stock' })

    t.equal(response.statusCode, 200)
    t.match(response.json(), { sub: ada.user.id, roles: [] })
  })
})

function read (token: string) {
  const [header = '', payload = ''] = token.split('.')
  return { header: decode(header), claims: decode(payload) }
}

function decode (part: string) {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
