import { createPublicKey, verify } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import t from 'tap'
import { NO_HOLD, assertRefused, bearer, build, claimsOf, createClock, databaseUrl, signIn, signUp, signUpClient } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

const MINUTE = 60
const HOUR = 3600
const DAY = 24 * HOUR
const ISSUER = 'https://id.example.com'

interface StatusListClaims {
  sub: string
  iat: number
  exp: number
  ttl: number
  status_list: { bits: number, lst: string }
}

async function prepare (t: Test, env: Record<string, string> = {}) {
  const clock = createClock()
  const server = await build(t, { env: { ISSUER, ...env }, now: clock.now })
  return { clock, server, client: await signUpClient(server) }
}

function pathOf (token: string): string {
  return claimsOf(token).status.status_list.uri.slice(ISSUER.length)
}

async function listOf (server: FastifyInstance, token: string) {
  const response = await server.inject({ url: pathOf(token) })
  const claims: StatusListClaims = claimsOf(response.body)
  return { response, claims, bits: inflateSync(Buffer.from(claims.status_list.lst, 'base64url')) }
}

/** The bit of a token, as a verifier finds it that knows nothing but the token and the list: the lowest bit of a byte is the first. */
async function bitOf (server: FastifyInstance, token: string): Promise<number> {
  const { bits } = await listOf(server, token)
  const { idx } = claimsOf(token).status.status_list
  return bits[Math.floor(idx / 8)]! >> (idx % 8) & 1
}

/** How many bits are set in the list of a token. */
async function countOf (server: FastifyInstance, token: string): Promise<number> {
  const { bits } = await listOf(server, token)
  return bits.reduce((count, byte) => count + byte.toString(2).replaceAll('0', '').length, 0)
}

t.test('GET /status/{list}', async (t) => {
  t.test('is a signed list with a bit for every access token', async (t) => {
    const { server, clock } = await prepare(t, { STATUS_LIST_TTL: '20s' })
    const ada = await signUp(server)
    const seconds = clock.now() / 1000

    const { response, claims, bits } = await listOf(server, ada.access_token)

    t.equal(response.statusCode, 200)
    t.equal(response.headers['content-type'], 'application/statuslist+jwt')
    t.equal(response.headers['cache-control'], 'no-cache')
    const [head = '', body = '', signature = ''] = response.body.split('.')
    const { keys: [key] } = (await server.inject({ url: '/.well-known/jwks.json' })).json()
    t.same(JSON.parse(Buffer.from(head, 'base64url').toString()), { alg: 'ES256', kid: key.kid, typ: 'statuslist+jwt' })
    t.ok(verify('sha256', Buffer.from(`${head}.${body}`), { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')))
    const { uri } = claimsOf(ada.access_token).status.status_list
    t.same(claims, { sub: uri, aud: uri, iat: seconds, exp: seconds + HOUR, ttl: 20, status_list: { bits: 1, lst: claims.status_list.lst } })
    t.equal(bits.length * 8, 2 ** 20)
    t.ok(bits.every((byte) => byte === 0))
  })

  t.test('opens nothing: it is no access token', async (t) => {
    const { server } = await prepare(t)
    const ada = await signUp(server)
    const { response } = await listOf(server, ada.access_token)

    assertRefused(t, await server.inject({ url: '/secret', headers: bearer(response.body) }), 401, 'wrong_token_type')
  })

  t.test('has the bits of all live tokens of a session set the moment it ends, and of no other', async (t) => {
    const { server, clock } = await prepare(t)
    const bea = await signUp(server)
    const ada = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    clock.advance(10 * MINUTE)
    const second = (await ada.refresh()).json()
    clock.advance(6 * MINUTE) // the first has expired
    const third = (await ada.refresh(second.refresh_token)).json()
    t.equal(await countOf(server, ada.access_token), 0)

    await server.inject({ method: 'POST', url: '/auth/logout', headers: bearer(third.access_token) })

    t.equal(await bitOf(server, second.access_token), 1)
    t.equal(await bitOf(server, third.access_token), 1)
    for (const { access_token: token } of [ada, laptop, bea]) t.equal(await bitOf(server, token), 0)
    t.equal(await countOf(server, ada.access_token), 2)
  })

  const ends: Record<string, (server: FastifyInstance, ada: Awaited<ReturnType<typeof signUp>>) => Promise<unknown>> = {
    'logging out everywhere': (_server, ada) => ada.inject({ method: 'POST', url: '/auth/logout/all' }),
    'a refresh token used twice': async (_server, ada) => { await ada.refresh(); await ada.refresh() },
    'a change of roles': (server, ada) => server.db.users.update(ada.user.id, { roles: ['editor'] }, NO_HOLD),
    'the end of the account': (server, ada) => server.db.users.remove(ada.user.id, NO_HOLD)
  }
  for (const [what, end] of Object.entries(ends)) {
    t.test(`has the bits set after ${what}`, async (t) => {
      const { server } = await prepare(t, { REFRESH_GRACE: '0s' })
      const ada = await signUp(server)
      t.equal(await bitOf(server, ada.access_token), 0)

      await end(server, ada)

      t.equal(await bitOf(server, ada.access_token), 1)
    })
  }

  t.test('has one bit set when one access token is revoked', async (t) => {
    const { server, client } = await prepare(t)
    const ada = await signUp(server)
    const other = (await ada.refresh()).json()

    await server.inject({ method: 'POST', url: '/oauth/revoke', headers: client, payload: { token: ada.access_token } })

    t.equal(await bitOf(server, ada.access_token), 1)
    t.equal(await bitOf(server, other.access_token), 0)
    t.equal(await countOf(server, ada.access_token), 1)
  })

  t.test('shows what another service on the same database revoked', async (t) => {
    const env = { ISSUER, DATABASE_URL: databaseUrl(t) }
    const [here, there] = [await build(t, { env }), await build(t, { env })]
    const ada = await signUp(here)
    t.equal(await bitOf(there, ada.access_token), 0)

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    t.equal(await bitOf(there, ada.access_token), 1)
  })

  t.test('is sent again only when it has changed', async (t) => {
    const { server } = await prepare(t)
    const ada = await signUp(server)
    const { response } = await listOf(server, ada.access_token)
    const etag = String(response.headers.etag)
    const get = (known: string) => server.inject({ url: pathOf(ada.access_token), headers: { 'if-none-match': known } })

    for (const known of [etag, `W/${etag}`, `"another", ${etag}`, `"another",W/${etag} , "third"`, '*']) {
      const again = await get(known)
      t.equal(again.statusCode, 304, known)
      t.equal(again.body, '')
      t.equal(again.headers.etag, etag)
    }
    for (const known of ['"another"', etag.slice(1, -1), '', 'W/*', `${etag}x`]) t.equal((await get(known)).statusCode, 200, known)

    await ada.inject({ method: 'POST', url: '/auth/logout' })
    const changed = await get(etag)
    t.equal(changed.statusCode, 200)
    t.not(changed.headers.etag, etag)
  })

  t.test('is there until the last token in it has expired, a lifetime after it took its last', async (t) => {
    const { server, clock } = await prepare(t)
    const ada = await signUp(server)
    const get = () => server.inject({ url: pathOf(ada.access_token) })
    clock.advance(DAY - 1)
    const bea = await signUp(server)
    t.equal(pathOf(bea.access_token), pathOf(ada.access_token))

    clock.advance(15 * MINUTE)
    t.equal((await get()).statusCode, 200)
    clock.advance(1)
    assertRefused(t, await get(), 404, 'not_found')
  })

  t.test('is none where there never was one', async (t) => {
    const { server } = await prepare(t)

    assertRefused(t, await server.inject({ url: `/status/${'A'.repeat(12)}` }), 404, 'not_found')
    assertRefused(t, await server.inject({ url: '/status/short' }), 400, 'validation_failed')
    assertRefused(t, await server.inject({ url: "/status/'%20or%201=1--" }), 400, 'validation_failed')
  })
})

t.test('GET /status', async (t) => {
  t.test('lists those of which some token may still be good', async (t) => {
    const { server, clock } = await prepare(t, { ACCESS_TOKEN_TTL: '1h' })
    const lists = async () => (await server.inject({ url: '/status' })).json()
    const uriOf = (token: string) => claimsOf(token).status.status_list.uri
    t.same(await lists(), { status_lists: [] })
    const ada = await signUp(server)
    t.same(await lists(), { status_lists: [uriOf(ada.access_token)] })

    clock.advance(DAY - 1)
    const bea = await signUp(server)
    clock.advance(1)
    const cleo = await signUp(server)
    await server.db.probe(clock.now()) // after it, room for others in the new list is set aside

    t.equal(uriOf(bea.access_token), uriOf(ada.access_token))
    t.same(await lists(), { status_lists: [uriOf(ada.access_token), uriOf(cleo.access_token)] })
    clock.advance(HOUR - 1)
    t.same(await lists(), { status_lists: [uriOf(ada.access_token), uriOf(cleo.access_token)] })
    clock.advance(1)
    t.same(await lists(), { status_lists: [uriOf(cleo.access_token)] })
    clock.advance(DAY)
    t.same(await lists(), { status_lists: [] })
  })
})
