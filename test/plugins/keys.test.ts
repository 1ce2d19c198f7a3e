import { constants, createHash, createHmac, createPublicKey, verify } from 'node:crypto'
import { stat } from 'node:fs/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { build, createClock, createLog, databaseUrl, forge, signIn, signUp } from '../helper.ts'
import type { JsonWebKey } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

const KEY = Buffer.alloc(32, 7).toString('base64')
const HOUR = 3600
const DAY = 24 * HOUR
const SECRET = 'thirty-two bytes, or a few more of them'

/** How others check each kind of signature, and what RFC 7638 hashes of each kind of key. */
const algorithms = {
  ES256: {
    digest: 'sha256',
    options: { dsaEncoding: 'ieee-p1363' },
    members: ({ crv, x, y }: JsonWebKey) => `{"crv":"${crv}","kty":"EC","x":"${x}","y":"${y}"}`
  },
  RS256: {
    digest: 'sha256',
    options: {},
    members: ({ e, n }: JsonWebKey) => `{"e":"${e}","kty":"RSA","n":"${n}"}`
  },
  PS256: {
    digest: 'sha256',
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
    members: ({ e, n }: JsonWebKey) => `{"e":"${e}","kty":"RSA","n":"${n}"}`
  },
  EdDSA: {
    digest: null,
    options: {},
    members: ({ crv, x }: JsonWebKey) => `{"crv":"${crv}","kty":"OKP","x":"${x}"}`
  }
} as const

for (const [algorithm, { digest, options, members }] of Object.entries(algorithms)) {
  t.test(`JWT_ALGORITHM=${algorithm}`, async (t) => {
    const server = await build(t, { env: { JWT_ALGORITHM: algorithm } })
    const ada = await signUp(server)
    const [jwk] = server.keys.jwks().keys as [JsonWebKey]

    t.test('signs what the service itself verifies', async (t) => {
      t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
    })

    t.test('signs what anybody verifies with the published key', async (t) => {
      const { header, content, signature } = read(ada.access_token)
      const key = createPublicKey({ key: jwk, format: 'jwk' })

      t.same(header, { alg: algorithm, typ: 'at+jwt', kid: jwk.kid })
      t.ok(verify(digest, content, { key, ...options }, signature))
    })

    t.test('names its key by its thumbprint (RFC 7638)', async (t) => {
      t.equal(jwk.kid, createHash('sha256').update(members(jwk)).digest('base64url'))
    })

    t.test('publishes nothing private', async (t) => {
      t.match(jwk, { alg: algorithm, use: 'sig' })
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) t.notOk(Object.hasOwn(jwk, member), member)
    })
  })
}

t.test('JWT_ALGORITHM=HS256', async (t) => {
  const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET } })
  const ada = await signUp(server)

  t.test('signs with the secret what the service itself verifies', async (t) => {
    const { header, content, signature } = read(ada.access_token)

    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
    t.match(header, { alg: 'HS256', typ: 'at+jwt' })
    t.same(createHmac('sha256', SECRET).update(content).digest(), signature)
  })

  t.test('publishes nothing', async (t) => {
    t.same(server.keys.jwks(), { keys: [] })
  })
})

t.test('The signing keys', async (t) => {
  t.test('are kept over a restart, and so are the tokens that they signed', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const before = await build(t, { env })
    const ada = await signUp(before)
    const keys = before.keys.all()
    await before.close()

    const after = await build(t, { env })

    t.same(after.keys.all(), keys)
    t.equal((await after.inject(secretWith(ada.access_token))).statusCode, 200)
  })

  t.test('lie in the file with their private parts sealed', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const server = await build(t, { env })
    const file = new Client(env.DATABASE_URL.slice('file:'.length), { readonly: true })
    t.teardown(() => file.close())

    const { private_key: sealed, public_key: publicKey } = file.prepare<[], { private_key: Buffer, public_key: string }>('select * from signing_keys').get()!

    t.match(server.keys.current().privateKey, /^-----BEGIN PRIVATE KEY-----\n/)
    t.match(publicKey, /^-----BEGIN PUBLIC KEY-----\n/)
    t.notMatch(sealed.toString('latin1'), 'PRIVATE KEY')
    t.equal(server.masterKey.open(sealed, server.keys.current().kid), server.keys.current().privateKey)
  })

  t.test('stay good for old tokens when the algorithm changes, and when it changes back', async (t) => {
    const DATABASE_URL = databaseUrl(t)
    const first = await build(t, { env: { DATABASE_URL } })
    const ada = await signUp(first)

    const second = await build(t, { env: { DATABASE_URL, JWT_ALGORITHM: 'EdDSA' } })
    const bea = await signUp(second)
    t.same(second.keys.jwks().keys.map(({ alg }) => alg), ['ES256', 'EdDSA'])
    const third = await build(t, { env: { DATABASE_URL } })

    t.equal(read(bea.access_token).header.alg, 'EdDSA')
    t.equal((await second.inject(secretWith(ada.access_token))).statusCode, 200)
    t.same(third.keys.jwks().keys.map(({ alg }) => alg), ['ES256', 'EdDSA', 'ES256'])
    t.equal(third.keys.current().algorithm, 'ES256')
    t.equal((await third.inject(secretWith(ada.access_token))).statusCode, 200)
    t.equal((await third.inject(secretWith(bea.access_token))).statusCode, 200)
  })

  t.test('are the same for two services that start at the same moment', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }

    const [one, two] = await Promise.all([build(t, { env }), build(t, { env })])

    t.same(one.keys.all(), two.keys.all())
    t.equal(one.keys.all().length, 1)
  })

  t.test('stop the start, with a sentence, when MASTER_KEY is not theirs', async (t) => {
    const DATABASE_URL = databaseUrl(t)
    await (await build(t, { env: { DATABASE_URL, MASTER_KEY: KEY } })).close()

    const start = build(t, { env: { DATABASE_URL, MASTER_KEY: Buffer.alloc(32, 8).toString('base64') } })

    await t.rejects(start, { code: 'wrong_setting', message: /^MASTER_KEY, or the file master\.key beside the database, should be [^\n]+\.$/ })
  })
})

t.test('keys.rotate', async (t) => {
  t.test('publishes a key at once, that signs after KEY_PREPUBLISH', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { KEY_PREPUBLISH: '2h' }, now: clock.now })
    const { kid: old } = server.keys.current()

    const kid = await server.keys.rotate()

    t.same(server.keys.jwks().keys.map(({ kid }) => kid), [old, kid])
    clock.advance(2 * HOUR - 1)
    t.equal(server.keys.current().kid, old)
    clock.advance(1)
    t.equal(server.keys.current().kid, kid)
    t.equal(read((await signUp(server)).access_token).header.kid, kid)
  })

  t.test('lets the old key be until its last token has expired, and not for longer', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { KEY_PREPUBLISH: '2h' }, now: clock.now })
    const { kid: old } = server.keys.current()
    const kid = await server.keys.rotate()
    clock.advance(2 * HOUR - 1)
    const last = await signUp(server)

    clock.advance(15 * 60)
    await server.keys.rotateWhenDue()
    t.same(kidsOf(server), [old, kid])
    t.equal((await last.inject({ url: '/secret' })).json().code, 'token_expired')
    clock.advance(1)
    await server.keys.rotateWhenDue()

    t.same(kidsOf(server), [kid])
  })

  t.test('gives the array and the JWK set of before for as long as nothing has changed', async (t) => {
    const server = await build(t)
    const [all, jwks] = [server.keys.all(), server.keys.jwks()]

    await signUp(server)

    t.equal(server.keys.all(), all)
    t.equal(server.keys.jwks(), jwks)
    await server.keys.rotate()
    t.not(server.keys.all(), all)
    t.not(server.keys.jwks(), jwks)
  })

  t.test('adds one key, when two services do it at the same moment, and tells both which', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const [one, two] = [await build(t, { env }), await build(t, { env })]

    const kids = await Promise.all([one.keys.rotate(), two.keys.rotate()])

    t.equal(kidsOf(one).length, 2)
    t.same(kidsOf(two), kidsOf(one))
    t.same(kids, Array(2).fill(kidsOf(one).at(-1)))
  })

  t.test('logs which key was added, and says nothing of the first one, nor of what is private', async (t) => {
    const clock = createClock()
    const { logger, lines } = createLog()
    const server = await build(t, { logger, now: clock.now })
    t.notOk(lines.some(({ event }) => event === 'key_added'))

    const kid = await server.keys.rotate()

    t.match(lines.filter(({ event }) => event === 'key_added'), [{ level: 30, kid, signsFrom: '2026-11-22T12:00:00.000Z' }])
    t.notMatch(JSON.stringify(lines), 'PRIVATE')
  })
})

t.test('keys.rotateWhenDue', async (t) => {
  t.test('publishes the next key KEY_PREPUBLISH before KEY_ROTATION is over, and only once', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { KEY_ROTATION: '30d', KEY_PREPUBLISH: '1d' }, now: clock.now })

    clock.advance(29 * DAY - 1)
    await server.keys.rotateWhenDue()
    t.equal(server.keys.all().length, 1)
    clock.advance(1)
    for (let i = 0; i < 3; i++) await server.keys.rotateWhenDue()

    const [old, next, ...others] = server.keys.all()
    t.same(others, [])
    t.equal(next!.signsFrom, clock.now() + DAY * 1000)
    t.equal(next!.signsFrom, old!.signsFrom + 30 * DAY * 1000)
    t.equal(server.keys.current().kid, old!.kid)
  })

  t.test('gives the next key its time in the JWK set, however long the service was off', async (t) => {
    const clock = createClock()
    const env = { DATABASE_URL: databaseUrl(t), KEY_ROTATION: '30d', KEY_PREPUBLISH: '1d' }
    await (await build(t, { env, now: clock.now })).close()
    clock.advance(365 * DAY)

    const server = await build(t, { env, now: clock.now })
    await server.keys.rotateWhenDue()

    t.match(server.keys.all(), [{}, { signsFrom: clock.now() + DAY * 1000 }])
    t.equal(server.keys.current(), server.keys.all()[0])
  })

  t.test('leaves a shared secret as it is', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, now: clock.now })
    clock.advance(365 * DAY)

    await server.keys.rotateWhenDue()

    t.same(kidsOf(server), ['secret'])
    t.same(server.db.signingKeys.list(), [])
  })
})

t.test('keys.burn', async (t) => {
  t.test('ends the key that signs: its tokens are refused by the next request, and people sign in again', async (t) => {
    const server = await build(t)
    const ada = await signUp(server, { username: 'ada' })
    const bea = await signUp(server, { username: 'bea' })
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200) // so that it is remembered as a good one
    const { kid } = server.keys.current()

    t.equal(await server.keys.burn(kid), true)

    for (const { inject } of [ada, bea]) t.equal((await inject({ url: '/secret' })).statusCode, 401)
    t.not(server.keys.current().kid, kid)
    t.notOk(server.keys.jwks().keys.some((key) => key.kid === kid))
    t.equal((await (await signIn(server, 'ada')).inject({ url: '/secret' })).statusCode, 200)
    t.equal((await bea.refresh()).statusCode, 200)
  })

  t.test('lets the key that was to sign next do so at once', async (t) => {
    const server = await build(t)
    const ada = await signUp(server, { username: 'ada' })
    const { kid } = server.keys.current()
    const next = await server.keys.rotate()

    await server.keys.burn(kid)

    t.same(kidsOf(server), [next])
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 401)
    t.equal(read((await signIn(server, 'ada')).access_token).header.kid, next)
  })

  t.test('ends a key that was to sign next, and the one that signs goes on', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const { kid } = server.keys.current()
    const next = await server.keys.rotate()

    await server.keys.burn(next!)
    clock.advance(30 * DAY)
    await server.keys.rotateWhenDue()

    t.same(kidsOf(server), [kid])
    t.equal(server.keys.current().kid, kid)
  })

  t.test('ends a key that is retiring, and no token of the one that signs', async (t) => {
    const server = await build(t)
    const ada = await signUp(server, { username: 'ada' })
    const { kid } = server.keys.current()
    const next = await server.keys.rotate(Date.now())
    const again = await signIn(server, 'ada')

    await server.keys.burn(kid)

    t.same(kidsOf(server), [next])
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 401)
    t.equal((await again.inject({ url: '/secret' })).statusCode, 200)
  })

  t.test('is for good: what a thief signed and we have seen is refused, whatever expiry it claims', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const ada = await signUp(server)
    const { kid, privateKey } = server.keys.current()
    const forged = forge(ada.access_token, privateKey, { exp: clock.now() / 1000 + 180 * DAY })
    t.equal((await server.inject(secretWith(forged))).statusCode, 200)

    await server.keys.burn(kid)
    clock.advance(30 * DAY)
    await server.blocklist.prune()

    t.equal((await server.inject(secretWith(forged))).statusCode, 401)
  })

  t.test('is seen by the next request to another service on the same database, which signs with the new key', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const [here, there] = [await build(t, { env }), await build(t, { env })]
    const ada = await signUp(there, { username: 'ada' })
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
    const { kid } = here.keys.current()

    await here.keys.burn(kid)
    await stat('.') // what another process wrote is seen by what comes from outside afterwards

    t.equal((await ada.inject({ url: '/secret' })).statusCode, 401)
    const again = await signIn(there, 'ada')
    t.equal(read(again.access_token).header.kid, here.keys.current().kid)
    t.equal((await here.inject(secretWith(again.access_token))).statusCode, 200)
  })

  t.test('knows no other kid, and logs a warning for a known one', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })
    const { kid } = server.keys.current()

    t.equal(await server.keys.burn('unknown'), false)
    t.equal(await server.keys.burn(kid), true)

    t.match(lines.filter(({ event }) => event === 'key_burnt'), [{ level: 40, kid }])
    t.equal(lines.filter(({ event }) => event === 'key_burnt').length, 1)
  })
})

t.test('keys.current', async (t) => {
  t.test('is there though the clock was set back to before it was made', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })

    clock.advance(-HOUR)

    t.equal(server.keys.current(), server.keys.all()[0])
    t.equal((await (await signUp(server)).inject({ url: '/secret' })).statusCode, 200)
  })
})

function kidsOf (server: FastifyInstance) {
  return server.keys.all().map(({ kid }) => kid)
}

function read (token: string) {
  const [header = '', payload = '', signature = ''] = token.split('.')
  return {
    header: JSON.parse(Buffer.from(header, 'base64url').toString()),
    content: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, 'base64url')
  }
}

function secretWith (token: string) {
  return { url: '/secret', headers: { authorization: `Bearer ${token}` } }
}
