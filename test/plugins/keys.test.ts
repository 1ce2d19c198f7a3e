import { constants, createHash, createHmac, createPublicKey, verify } from 'node:crypto'
import Client from 'better-sqlite3'
import t from 'tap'
import { build, databaseUrl, signUp } from '../helper.ts'
import type { JsonWebKey } from 'node:crypto'

const KEY = Buffer.alloc(32, 7).toString('base64')
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
    const [jwk] = server.keys.jwks.keys as [JsonWebKey]

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
    t.same(server.keys.jwks, { keys: [] })
  })
})

t.test('The signing keys', async (t) => {
  t.test('are kept over a restart, and so are the tokens that they signed', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const before = await build(t, { env })
    const ada = await signUp(before)
    await before.close()

    const after = await build(t, { env })

    t.same(after.keys, before.keys)
    t.equal((await after.inject(secretWith(ada.access_token))).statusCode, 200)
  })

  t.test('lie in the file with their private parts sealed', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const server = await build(t, { env })
    const file = new Client(env.DATABASE_URL.slice('file:'.length), { readonly: true })
    t.teardown(() => file.close())

    const { private_key: sealed, public_key: publicKey } = file.prepare<[], { private_key: Buffer, public_key: string }>('select * from signing_keys').get()!

    t.match(server.keys.current.privateKey, /^-----BEGIN PRIVATE KEY-----\n/)
    t.match(publicKey, /^-----BEGIN PUBLIC KEY-----\n/)
    t.notMatch(sealed.toString('latin1'), 'PRIVATE KEY')
    t.equal(server.masterKey.open(sealed, server.keys.current.kid), server.keys.current.privateKey)
  })

  t.test('stay good for old tokens when the algorithm changes, and are used again when it changes back', async (t) => {
    const DATABASE_URL = databaseUrl(t)
    const first = await build(t, { env: { DATABASE_URL } })
    const ada = await signUp(first)

    const second = await build(t, { env: { DATABASE_URL, JWT_ALGORITHM: 'EdDSA' } })
    const bea = await signUp(second)
    const third = await build(t, { env: { DATABASE_URL } })

    t.equal(read(bea.access_token).header.alg, 'EdDSA')
    t.equal((await second.inject(secretWith(ada.access_token))).statusCode, 200)
    t.same(second.keys.jwks.keys.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA'])
    t.same(third.keys.current, first.keys.current)
    t.equal((await third.inject(secretWith(bea.access_token))).statusCode, 200)
  })

  t.test('are the same for two services that start at the same moment', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }

    const [one, two] = await Promise.all([build(t, { env }), build(t, { env })])

    t.same(one.keys, two.keys)
    t.equal(one.keys.all.length, 1)
  })

  t.test('stop the start, with a sentence, when MASTER_KEY is not theirs', async (t) => {
    const DATABASE_URL = databaseUrl(t)
    await (await build(t, { env: { DATABASE_URL, MASTER_KEY: KEY } })).close()

    const start = build(t, { env: { DATABASE_URL, MASTER_KEY: Buffer.alloc(32, 8).toString('base64') } })

    await t.rejects(start, { code: 'wrong_setting', message: /^MASTER_KEY, or the file master\.key beside the database, should be [^\n]+\.$/ })
  })
})

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
