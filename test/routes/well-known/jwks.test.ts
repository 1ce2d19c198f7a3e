import { createPublicKey, verify } from 'node:crypto'
import t from 'tap'
import { build, databaseUrl, signUp } from '../../helper.ts'

const URL = '/.well-known/jwks.json'

const members = {
  ES256: ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
  EdDSA: ['alg', 'crv', 'kid', 'kty', 'use', 'x'],
  RS256: ['alg', 'e', 'kid', 'kty', 'n', 'use']
}

t.test('GET /.well-known/jwks.json', async (t) => {
  for (const [algorithm, names] of Object.entries(members)) {
    t.test(`shows the public members of an ${algorithm} key, and no other`, async (t) => {
      const server = await build(t, { env: { JWT_ALGORITHM: algorithm } })

      const response = await server.inject({ url: URL })

      t.equal(response.statusCode, 200)
      const { keys: [key, ...others] } = response.json()
      t.strictSame(Object.keys(key).sort(), names)
      t.match(key, { alg: algorithm, use: 'sig' })
      t.strictSame(others, [])
    })
  }

  t.test('is enough to check the signature of an access token', async (t) => {
    const server = await build(t)
    const { access_token: token } = await signUp(server)

    const { keys: [key] } = (await server.inject({ url: URL })).json()

    const [header = '', payload = '', signature = ''] = token.split('.')
    const isSigned = verify('sha256', Buffer.from(`${header}.${payload}`), { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
    t.ok(isSigned)
    t.equal(JSON.parse(Buffer.from(header, 'base64url').toString()).kid, key.kid)
  })

  t.test('shows no key with HS256', async (t) => {
    const secret = 'a secret of no less than 32 bytes'
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: secret } })

    const response = await server.inject({ url: URL })

    t.strictSame(response.json(), { keys: [] })
  })

  t.test('goes on showing the key of another algorithm after a change', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    await (await build(t, { env })).close()
    const server = await build(t, { env: { ...env, JWT_ALGORITHM: 'EdDSA' } })

    const response = await server.inject({ url: URL })

    t.strictSame(response.json().keys.map(({ alg }: { alg: string }) => alg).sort(), ['ES256', 'EdDSA'])
  })

  t.test('may be cached for five minutes, and is not sent again while it is the same', async (t) => {
    const server = await build(t)
    const first = await server.inject({ url: URL })
    const { etag } = first.headers

    const again = await server.inject({ url: URL, headers: { 'if-none-match': etag } })
    const changed = await server.inject({ url: URL, headers: { 'if-none-match': '"another"' } })

    t.match(etag, /^"[\w-]{43}"$/)
    for (const response of [first, again]) t.match(response.headers, { etag, 'cache-control': 'public, max-age=300' })
    t.equal(again.statusCode, 304)
    t.equal(again.body, '')
    t.equal(changed.statusCode, 200)
    t.equal(changed.body, first.body)
  })

  t.test('changes as soon as a key is added or revoked', async (t) => {
    const server = await build(t)
    const first = await server.inject({ url: URL })
    const next = await server.signingKeys.rotate()

    const rotated = await server.inject({ url: URL, headers: { 'if-none-match': String(first.headers.etag) } })
    await server.signingKeys.revoke(next!)
    const revoked = await server.inject({ url: URL, headers: { 'if-none-match': String(rotated.headers.etag) } })

    t.equal(rotated.statusCode, 200)
    t.equal(rotated.json().keys[1].kid, next)
    t.equal(revoked.statusCode, 200)
    t.equal(revoked.headers.etag, first.headers.etag)
  })

  t.test('may be cached for half of KEY_PREPUBLISH where that is less', async (t) => {
    const server = await build(t, { env: { KEY_PREPUBLISH: '45s' } })

    t.equal((await server.inject({ url: URL })).headers['cache-control'], 'public, max-age=22')
  })
})
