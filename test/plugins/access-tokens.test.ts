import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import t from 'tap'
import { build, createClock, signIn, signUp, signUpAdmin } from '../helper.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'

const SECRET = 'thirty-two bytes, or a few more of them'

/** How somebody who knows @fastify/jwt protects a route. */
const stockRoute: FastifyPluginAsync = async (fastify) => {
  fastify.get('/stock', { onRequest: async (request) => { await request.jwtVerify() } }, async ({ user }) => user)
}

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

t.test('Both `authenticate` and the stock `jwtVerify` refuse', async (t) => {
  const visits: unknown[] = []
  const trap = createServer((request) => visits.push(request.url)).listen(0, '127.0.0.1')
  t.teardown(() => trap.close())
  await once(trap, 'listening')
  const elsewhere = `http://127.0.0.1:${(trap.address() as AddressInfo).port}` // it listens on a port

  const clock = createClock()
  const server = await build(t, { env: { DOCS: 'off' }, now: clock.now, routes: stockRoute })
  const ada = await signUp(server)
  const [head = '', body = '', signature = ''] = ada.access_token.split('.')
  const { header, claims } = read(ada.access_token)
  const { privateKey, publicKey } = server.keys.current()
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const strangersPem = stranger.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const strangersJwk = stranger.publicKey.export({ format: 'jwk' })
  const seconds = clock.now() / 1000

  /** Signed with our own key, as nobody else can. */
  const genuine = (head: string, body: string, key = privateKey) => `${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  const withHeader = (change: object, key?: string) => genuine(encode({ ...header, ...change }), body, key)
  const withClaims = (change: object) => genuine(head, encode({ ...claims, ...change }))
  const withoutClaim = (name: string) => genuine(head, encode({ ...claims, [name]: undefined }))
  const hmac = (change: object, key: string) => {
    const content = `${encode({ ...header, alg: 'HS256', ...change })}.${body}`
    return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`
  }
  const bytes = Buffer.from(signature, 'base64url')
  const der = sign('sha256', Buffer.from(`${head}.${body}`), privateKey)

  const tokens: Record<string, Record<string, string | [token: string, code: string]>> = {
    'an algorithm of the caller\'s choice': {
      none: `${encode({ ...header, alg: 'none' })}.${body}.`,
      'none, and a signature': `${encode({ ...header, alg: 'none' })}.${body}.${signature}`,
      None: `${encode({ ...header, alg: 'None' })}.${body}.`,
      NONE: `${encode({ ...header, alg: 'NONE' })}.${body}.`,
      'the empty one': `${encode({ ...header, alg: '' })}.${body}.`,
      'no alg at all': `${encode({ ...header, alg: undefined })}.${body}.${signature}`,
      null: `${encode({ ...header, alg: null })}.${body}.${signature}`,
      'HS256 under the public key': hmac({}, publicKey),
      'HS256 under the public key, trimmed': hmac({}, publicKey.trim()),
      'HS256 under the published key': hmac({}, JSON.stringify(server.keys.jwks().keys[0])),
      'HS256 under the kid': hmac({}, header.kid),
      'HS256 under nothing': hmac({ kid: '' }, ''),
      ES384: withHeader({ alg: 'ES384' }),
      es256: withHeader({ alg: 'es256' }),
      RS256: withHeader({ alg: 'RS256' })
    },
    'a key of the caller\'s choice': {
      'a stranger\'s, under our kid': withHeader({}, strangersPem),
      'an unknown kid': withHeader({ kid: 'unknown' }, strangersPem),
      'no kid': withHeader({ kid: undefined }),
      'null as kid': withHeader({ kid: null }),
      'a number as kid': withHeader({ kid: 0 }),
      'a list as kid': withHeader({ kid: [header.kid] }),
      'a path as kid': withHeader({ kid: '../../../../dev/null' }, strangersPem),
      'SQL as kid': withHeader({ kid: "' or 1=1 --" }, strangersPem),
      '__proto__ as kid': withHeader({ kid: '__proto__' }, strangersPem),
      'constructor as kid': withHeader({ kid: 'constructor' }, strangersPem),
      'a kid of 5 kB': withHeader({ kid: 'k'.repeat(5000) }, strangersPem),
      jwk: withHeader({ jwk: strangersJwk }, strangersPem),
      'jwk, without a kid': withHeader({ kid: undefined, jwk: strangersJwk }, strangersPem),
      jku: withHeader({ jku: `${elsewhere}/jwks.json` }, strangersPem),
      x5u: withHeader({ x5u: `${elsewhere}/chain.pem` }, strangersPem),
      x5c: withHeader({ x5c: ['MIIB'] }, strangersPem)
    },
    'a genuine signature under another header': {
      'the same in another order': genuine(encode({ kid: header.kid, typ: header.typ, alg: header.alg }), body),
      crit: withHeader({ crit: ['exp'] }),
      'an empty crit': withHeader({ crit: [] }),
      'b64: false': withHeader({ b64: false, crit: ['b64'] }),
      zip: withHeader({ zip: 'DEF' }),
      'typ JWT': [withHeader({ typ: 'JWT' }), 'wrong_token_type'],
      'typ rt+jwt': [withHeader({ typ: 'rt+jwt' }), 'wrong_token_type'],
      'typ in capitals': [withHeader({ typ: 'AT+JWT' }), 'wrong_token_type'],
      'typ a list': [withHeader({ typ: ['at+jwt'] }), 'wrong_token_type'],
      'no typ': [withHeader({ typ: undefined }), 'wrong_token_type']
    },
    'a signature that is not whole': {
      none: `${head}.${body}.`,
      'none, nor its dot': `${head}.${body}`,
      'one character short': `${head}.${body}.${signature.slice(0, -1)}`,
      'one byte short': `${head}.${body}.${bytes.subarray(1).toString('base64url')}`,
      'one byte long': `${head}.${body}.${signature}AA`,
      'one bit off': `${head}.${body}.${Buffer.from([bytes[0]! ^ 1, ...bytes.subarray(1)]).toString('base64url')}`,
      zeroes: `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
      'in DER': `${head}.${body}.${der.toString('base64url')}`,
      'with a stray character': `${head}.${body}.!${signature}`,
      'padded twice': `${head}.${body}.${signature}====`
    },
    'what was changed after it was signed': {
      roles: `${head}.${encode({ ...claims, roles: ['admin'] })}.${signature}`,
      sub: `${head}.${encode({ ...claims, sub: 'x'.repeat(22) })}.${signature}`,
      exp: `${head}.${encode({ ...claims, exp: claims.exp + 1 })}.${signature}`
    },
    'what is no token': {
      nothing: '',
      'a dot': '.',
      'two dots': '..',
      'a word': 'token',
      'a header': head,
      'a header and a dot': `${head}.`,
      'a header and a letter': `${head}x`,
      'four parts': `${ada.access_token}.${signature}`,
      'no header': `.${body}.${signature}`,
      'no payload': `${head}..${signature}`,
      'a header that is no JSON': `${Buffer.from('{').toString('base64url')}.${body}.${signature}`,
      'a header that is null': `${encode(null)}.${body}.${signature}`,
      'a header that is a list': `${encode([])}.${body}.${signature}`,
      JSON: JSON.stringify(claims),
      'a space inside': `${head}. ${body}.${signature}`,
      'a second space before it': ` ${ada.access_token}`,
      'two tokens': `${ada.access_token} ${ada.access_token}`,
      'two tokens and a comma': `${ada.access_token}, ${ada.access_token}`,
      '8 kB': 'x'.repeat(8192),
      'another kind of token': [ada.refresh_token, 'wrong_token_type']
    },
    'a genuine payload that is no set of claims': {
      'a list': genuine(head, encode([claims])),
      null: genuine(head, encode(null)),
      'a text': genuine(head, encode('claims')),
      'a number': genuine(head, encode(42)),
      nothing: genuine(head, ''),
      'no JSON': genuine(head, Buffer.from('{').toString('base64url')),
      'an empty object': genuine(head, encode({}))
    },
    'genuine claims that are not all of them': Object.fromEntries(Object.keys(claims).map((name) => [name, withoutClaim(name)])),
    'genuine claims of somebody else': {
      'another iss': withClaims({ iss: 'https://evil.example.com' }),
      'iss with a slash': withClaims({ iss: `${claims.iss}/` }),
      'iss as a list': withClaims({ iss: [claims.iss] }),
      'another aud': withClaims({ aud: 'other' }),
      'an empty aud': withClaims({ aud: '' }),
      'aud as an empty list': withClaims({ aud: [] }),
      'aud as a list of others': withClaims({ aud: ['other', 'another'] }),
      'aud as a number': withClaims({ aud: 5 })
    },
    'genuine claims of another type': {
      'sub null': withClaims({ sub: null }),
      'sub empty': withClaims({ sub: '' }),
      'sub an object': withClaims({ sub: {} }),
      'client_id empty': withClaims({ client_id: '' }),
      'jti a number': withClaims({ jti: 1 }),
      'sid a list': withClaims({ sid: [claims.sid] }),
      'roles a text': withClaims({ roles: 'admin' }),
      'roles a list of lists': withClaims({ roles: [['admin']] }),
      'exp a text': withClaims({ exp: String(claims.exp) }),
      'exp null': withClaims({ exp: null }),
      'exp a fraction': withClaims({ exp: claims.exp + 0.5 }),
      'exp beyond all bounds': withClaims({ exp: 1e300 }),
      'iat a text': withClaims({ iat: String(claims.iat) }),
      'iat beyond all bounds': withClaims({ iat: -1e300 }),
      'auth_time a text': withClaims({ auth_time: String(claims.auth_time) }),
      'auth_time true': withClaims({ auth_time: true }),
      'status a text': withClaims({ status: 'valid' }),
      'status null': withClaims({ status: null }),
      'status without a list': withClaims({ status: {} }),
      'status with a list that is null': withClaims({ status: { status_list: null } }),
      'status without a place': withClaims({ status: { status_list: { uri: claims.status.status_list.uri } } }),
      'status with a fraction for a place': withClaims({ status: { status_list: { ...claims.status.status_list, idx: 0.5 } } }),
      'status without an address': withClaims({ status: { status_list: { idx: 0 } } })
    },
    'genuine claims of another time': {
      'exp past': [withClaims({ exp: seconds - 1 }), 'token_expired'],
      'exp now': [withClaims({ exp: seconds }), 'token_expired'],
      'exp at the beginning of time': [withClaims({ exp: 0 }), 'token_expired'],
      'iat in the future': withClaims({ iat: seconds + 61 }),
      'nbf in the future': withClaims({ nbf: seconds + 600 }),
      'nbf in the past': withClaims({ nbf: seconds - 600 }),
      'nbf a text': withClaims({ nbf: 'soon' }),
      'nbf beyond all bounds': withClaims({ nbf: 1e300 })
    }
  }

  for (const [kind, examples] of Object.entries(tokens)) {
    t.test(`${kind}:`, async (t) => {
      for (const [name, example] of Object.entries(examples)) {
        t.test(name, async (t) => {
          const [token, code] = [example].flat() as [string, string?]
          const headers = { authorization: `Bearer ${token}` }

          const [own, stock] = await Promise.all([server.inject({ url: '/secret', headers }), server.inject({ url: '/stock', headers })])

          t.equal(own.statusCode, 401)
          t.equal(own.json().code, code ?? 'invalid_token')
          t.match(own.headers['www-authenticate'], /^Bearer error="invalid_token", error_description="[^"]+"$/)
          t.equal(stock.statusCode, 401)
          t.match(stock.headers['www-authenticate'], /^Bearer( error="invalid_token", error_description="[^"]+")?$/)
          t.notMatch(own.body + stock.body, '42')
        })
      }
    })
  }

  t.test('nothing that is good', async (t) => {
    for (const token of [ada.access_token, genuine(head, body), withClaims({ iat: seconds + 60 }), withClaims({ more: true })]) {
      const headers = { authorization: `Bearer ${token}` }

      t.equal((await server.inject({ url: '/secret', headers })).statusCode, 200)
      t.equal((await server.inject({ url: '/stock', headers })).statusCode, 200)
    }
  })

  t.test('to ask elsewhere for a key', async (t) => {
    t.same(visits, [])
  })

  t.test('who presents none', async (t) => {
    const response = await server.inject({ url: '/stock' })

    t.equal(response.statusCode, 401)
    t.equal(response.json().code, 'missing_token')
    t.equal(response.headers['www-authenticate'], 'Bearer')
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
    const { roles } = server.accessTokens.verify(ada.access_token)

    t.throws(() => roles.push('admin'))
    t.same(server.accessTokens.verify(ada.access_token).roles, [])
  })

  t.test('are told apart by token, for more tokens than are remembered', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, now: clock.now })
    const ada = await signUp(server, { username: 'ada' })
    const bea = await signUp(server, { username: 'bea' })
    const { accessTokens, db } = server
    const user = await db.users.find('bea')
    const [session] = await db.sessions.list(bea.user.id, clock.now())
    const flood = () => { for (let i = 0; i <= 16_384; i++) accessTokens.verify(accessTokens.issue(session!, user!)) }

    accessTokens.verify(ada.access_token)
    flood()
    t.equal(accessTokens.verify(ada.access_token).sub, ada.user.id)
    flood()
    t.equal(accessTokens.verify(ada.access_token).sub, ada.user.id)
    await ada.inject({ method: 'POST', url: '/auth/logout' })

    t.throws(() => accessTokens.verify(ada.access_token), { code: 'token_revoked' })
    t.equal(accessTokens.verify(bea.access_token).sub, bea.user.id)
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

function encode (value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function read (token: string) {
  const [header = '', payload = ''] = token.split('.')
  return { header: decode(header), claims: decode(payload) }
}

function decode (part: string) {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
