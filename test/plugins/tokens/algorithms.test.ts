import { constants, createHash, createHmac, createPublicKey, verify } from 'node:crypto'
import t from 'tap'
import { build, signUp } from '../../helper.ts'
import type { JsonWebKey } from 'node:crypto'

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
    const [jwk] = server.signingKeys.jwks().keys as [JsonWebKey]

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
    t.same(server.signingKeys.jwks(), { keys: [] })
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
