import Client from 'better-sqlite3'
import t from 'tap'
import { bearer, build, createClock, createLog, databaseUrl, signUp } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'

const KEY = Buffer.alloc(32, 7).toString('base64')
const HOUR = 3600
const DAY = 24 * HOUR
const SECRET = 'thirty-two bytes, or a few more of them'

t.test('The signing keys', async (t) => {
  t.test('are kept over a restart, and so are the tokens that they signed', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const before = await build(t, { env })
    const ada = await signUp(before)
    const keys = before.signingKeys.all()
    await before.close()

    const after = await build(t, { env })

    t.same(after.signingKeys.all(), keys)
    t.equal((await after.inject(secretWith(ada.access_token))).statusCode, 200)
  })

  t.test('are stored with their private parts sealed', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const server = await build(t, { env })
    const file = new Client(env.DATABASE_URL.slice('file:'.length), { readonly: true })
    t.teardown(() => file.close())

    const { private_key: sealed, public_key: publicKey } = file.prepare<[], { private_key: Buffer, public_key: string }>('select * from signing_keys').get()!

    t.match(server.signingKeys.current().privateKey, /^-----BEGIN PRIVATE KEY-----\n/)
    t.match(publicKey, /^-----BEGIN PUBLIC KEY-----\n/)
    t.notMatch(sealed.toString('latin1'), 'PRIVATE KEY')
    t.equal(server.masterKey.open(sealed, server.signingKeys.current().kid), server.signingKeys.current().privateKey)
  })

  t.test('stay good for old tokens when the algorithm changes, and when it changes back', async (t) => {
    const DATABASE_URL = databaseUrl(t)
    const first = await build(t, { env: { DATABASE_URL } })
    const ada = await signUp(first)

    const second = await build(t, { env: { DATABASE_URL, JWT_ALGORITHM: 'EdDSA' } })
    const bea = await signUp(second)
    t.same(second.signingKeys.jwks().keys.map(({ alg }) => alg), ['ES256', 'EdDSA'])
    const third = await build(t, { env: { DATABASE_URL } })

    t.equal(headerOf(bea.access_token).alg, 'EdDSA')
    t.equal((await second.inject(secretWith(ada.access_token))).statusCode, 200)
    t.same(third.signingKeys.jwks().keys.map(({ alg }) => alg), ['ES256', 'EdDSA', 'ES256'])
    t.equal(third.signingKeys.current().algorithm, 'ES256')
    t.equal((await third.inject(secretWith(ada.access_token))).statusCode, 200)
    t.equal((await third.inject(secretWith(bea.access_token))).statusCode, 200)
  })

  t.test('are the same for two services that start at the same moment', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }

    const [one, two] = await Promise.all([build(t, { env }), build(t, { env })])

    t.same(one.signingKeys.all(), two.signingKeys.all())
    t.equal(one.signingKeys.all().length, 1)
  })

  t.test('stop the start, with a sentence, when MASTER_KEY is not theirs', async (t) => {
    const DATABASE_URL = databaseUrl(t)
    await (await build(t, { env: { DATABASE_URL, MASTER_KEY: KEY } })).close()

    const start = build(t, { env: { DATABASE_URL, MASTER_KEY: Buffer.alloc(32, 8).toString('base64') } })

    await t.rejects(start, { code: 'wrong_setting', message: /^MASTER_KEY, or the file master\.key beside the database, is not the key of this database\. [^\n]+\.$/ })
  })
})

t.test('signingKeys.rotate', async (t) => {
  t.test('publishes a key at once, that signs after KEY_PREPUBLISH', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { KEY_PREPUBLISH: '2h' }, now: clock.now })
    const { kid: old } = server.signingKeys.current()

    const kid = await server.signingKeys.rotate()

    t.same(server.signingKeys.jwks().keys.map(({ kid }) => kid), [old, kid])
    clock.advance(2 * HOUR - 1)
    t.equal(server.signingKeys.current().kid, old)
    clock.advance(1)
    t.equal(server.signingKeys.current().kid, kid)
    t.equal(headerOf((await signUp(server)).access_token).kid, kid)
  })

  t.test('keeps the old key until its last token has expired, and a day longer', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { KEY_PREPUBLISH: '2h' }, now: clock.now })
    const { kid: old } = server.signingKeys.current()
    const kid = await server.signingKeys.rotate()
    clock.advance(2 * HOUR - 1)
    const last = await signUp(server)

    clock.advance(15 * 60 + 24 * HOUR)
    await server.signingKeys.rotateWhenDue()
    t.same(kidsOf(server), [old, kid])
    t.equal((await last.inject({ url: '/secret' })).json().code, 'token_expired')
    clock.advance(1)
    await server.signingKeys.rotateWhenDue()

    t.same(kidsOf(server), [kid])
  })

  for (const [what, before, after] of [['raised', '15m', '9d'], ['lowered', '9d', '15m']] as const) {
    t.test(`keeps the old key for as long as its tokens live, when ACCESS_TOKEN_TTL is ${what} after the next key was published`, async (t) => {
      const clock = createClock()
      const env = { DATABASE_URL: databaseUrl(t), KEY_PREPUBLISH: '1h' }
      const first = await build(t, { env: { ...env, ACCESS_TOKEN_TTL: before }, now: clock.now })
      const early = await signUp(first)
      if (what === 'raised') await first.signingKeys.rotate()
      await first.close()
      const second = await build(t, { env: { ...env, ACCESS_TOKEN_TTL: after }, now: clock.now })
      const late = await signUp(second)
      if (what === 'lowered') await second.signingKeys.rotate(clock.now())

      clock.advance(9 * DAY - 1)
      await second.signingKeys.rotateWhenDue()

      const longer = what === 'raised' ? late : early
      t.equal((await second.inject({ url: '/secret', headers: bearer(longer.access_token) })).statusCode, 200)
    })
  }

  t.test('gives the array and the JWK set of before for as long as nothing has changed', async (t) => {
    const server = await build(t)
    const [all, jwks] = [server.signingKeys.all(), server.signingKeys.jwks()]

    await signUp(server)

    t.equal(server.signingKeys.all(), all)
    t.equal(server.signingKeys.jwks(), jwks)
    await server.signingKeys.rotate()
    t.not(server.signingKeys.all(), all)
    t.not(server.signingKeys.jwks(), jwks)
  })

  t.test('adds one key when two services rotate at the same moment, and gives both its kid', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const [one, two] = [await build(t, { env }), await build(t, { env })]

    const kids = await Promise.all([one.signingKeys.rotate(), two.signingKeys.rotate()])

    t.equal(kidsOf(one).length, 2)
    t.same(kidsOf(two), kidsOf(one))
    t.same(kids, Array(2).fill(kidsOf(one).at(-1)))
  })

  t.test('logs which key was added, but not the first one, and no private part', async (t) => {
    const clock = createClock()
    const { logger, lines } = createLog()
    const server = await build(t, { logger, now: clock.now })
    t.notOk(lines.some(({ event }) => event === 'key_added'))

    const kid = await server.signingKeys.rotate()

    t.match(lines.filter(({ event }) => event === 'key_added'), [{ level: 30, kid, signsFrom: '2026-11-22T12:00:00.000Z' }])
    t.notMatch(JSON.stringify(lines), 'PRIVATE')
  })
})

t.test('signingKeys.rotateWhenDue', async (t) => {
  t.test('publishes the next key KEY_PREPUBLISH before KEY_ROTATION is over, and only once', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { KEY_ROTATION: '30d', KEY_PREPUBLISH: '1d' }, now: clock.now })

    clock.advance(29 * DAY - 1)
    await server.signingKeys.rotateWhenDue()
    t.equal(server.signingKeys.all().length, 1)
    clock.advance(1)
    for (let i = 0; i < 3; i++) await server.signingKeys.rotateWhenDue()

    const [old, next, ...others] = server.signingKeys.all()
    t.same(others, [])
    t.equal(next!.signsFrom, clock.now() + DAY * 1000)
    t.equal(next!.signsFrom, old!.signsFrom + 30 * DAY * 1000)
    t.equal(server.signingKeys.current().kid, old!.kid)
  })

  t.test('gives the next key its time in the JWK set, however long the service was off', async (t) => {
    const clock = createClock()
    const env = { DATABASE_URL: databaseUrl(t), KEY_ROTATION: '30d', KEY_PREPUBLISH: '1d' }
    await (await build(t, { env, now: clock.now })).close()
    clock.advance(365 * DAY)

    const server = await build(t, { env, now: clock.now })
    await server.signingKeys.rotateWhenDue()

    t.match(server.signingKeys.all(), [{}, { signsFrom: clock.now() + DAY * 1000 }])
    t.equal(server.signingKeys.current(), server.signingKeys.all()[0])
  })

  t.test('leaves a shared secret as it is', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, now: clock.now })
    clock.advance(365 * DAY)

    await server.signingKeys.rotateWhenDue()

    t.same(kidsOf(server), ['secret'])
    t.same(await server.db.signingKeys.list(), [])
  })
})

t.test('signingKeys.current', async (t) => {
  t.test('is the first key when the clock was set back to before it was made', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })

    clock.advance(-HOUR)

    t.equal(server.signingKeys.current(), server.signingKeys.all()[0])
    t.equal((await (await signUp(server)).inject({ url: '/secret' })).statusCode, 200)
  })
})

function kidsOf (server: FastifyInstance) {
  return server.signingKeys.all().map(({ kid }) => kid)
}

/** The header of a token. */
function headerOf (token: string) {
  return JSON.parse(Buffer.from(token.split('.', 1).join(), 'base64url').toString())
}

function secretWith (token: string) {
  return { url: '/secret', headers: { authorization: `Bearer ${token}` } }
}
