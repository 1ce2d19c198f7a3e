import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { PASSWORD } from '../../test/helper.ts'
import { startServer } from '../../test/processes.ts'
import { createSilentServer, createWorld, run, send } from './world.ts'
import { gateways } from './gateways.ts'
import type { RequestOptions } from './world.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']
const PREFLIGHT = { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' }

/** Postern's headers, and every spelling that a service may read as one of them: many read all but letters and digits as _. */
const SPOOFED = Object.fromEntries(['X-Auth-Subject', 'X-Auth-Session', 'X-Auth-Roles', 'X-Auth-Token-Id'].map((name) => [name, 'admin']))
const ALIASES = Object.fromEntries([..."!#$%&'*+.^_`|~"].flatMap((c) => [`X${c}Auth${c}Subject`, `x-auth${c}roles`, `X${c}Auth-Session`, `X-Auth-Token${c}Id`]).map((name) => [name, 'admin']))

/** Paths that a gateway and the service behind it may read differently. */
const AMBIGUOUS = [
  '//secret', '//secret/1', '/public//../secret', '/public/../secret', '/public/../secret/1', '/public/./../secret',
  '/public/%2e%2e/secret', '/public/%2E%2e/secret', '/public/.%2e/secret', '/public/..%2fsecret', '/public%2f..%2fsecret', '/public/..%5csecret', '/public/..\\secret',
  '/secret;a=b', '/secret;a=b/1', '/public/..;/secret', '/secret%00', '/secret%2f1', '/public/%252e%252e/secret', '/secret/%23', '/secret%3f', '/secret/..', '/public/.'
]

/** Paths that the configurations do not name. */
const ELSEWHERE = ['/', '/SECRET', '/Secret/1', '/secretly', '/secret%20', '/admins', '/publicity', '/verify', '/verify/secret', '/oauth/introspect', '/users', '/audit', '/tokens/explain', '/docs', '/metrics', '/health/ready',
  '/statuses', '/revocations/1', '/.well-known', '/_postern/anyone', '/_postern/401', '/_postern/403?role=admin']

const world = await createWorld(t)
const postern = await startServer(t, { env: world.env })
const statusList = await fetchStatusList((await signIn('the-admin')).access_token)

const missing = gateways.map(({ needs }) => needs.find((file) => !existsSync(file)))
const ports = await Promise.all(gateways.map(async (gateway, i) => missing[i] === undefined
  ? run(t, gateway, world).catch(({ message }: Error) => { t.fail(message) }) // so that the others are stopped
  : undefined))

for (const [i, { name, packages, revocation, usesVerify, problems }] of gateways.entries()) {
  const skip = ports[i] === undefined && `${missing[i] ?? 'a file that it needs'} is missing: install ${packages}`
  const through = (path: string, options?: RequestOptions) => send(world, ports[i]!, path, options)

  t.test(name, { skip }, async (t) => {
    const username = `user-${i}`
    const registered = await post('/auth/register', { username, password: PASSWORD })
    const { access_token: token, refresh_token: refresh, user } = JSON.parse(registered.text)
    const { access_token: admin } = await signIn('the-admin')

    function post (path: string, body: object) {
      return through(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) })
    }

    t.test('sends /auth/ to Postern, with the address of the client', async (t) => {
      t.equal(registered.status, 201)
      const { text } = await through('/auth/sessions', { token, headers: { 'x-forwarded-for': '203.0.113.7' } })
      t.match(JSON.parse(text).sessions, [{ ip: '127.0.0.1' }])
    })

    t.test('sends to Postern what verifiers ask', async (t) => {
      const { pathname } = new URL(claimsOf(token).status.status_list.uri)
      for (const [path, status] of [['/.well-known/jwks.json', 200], ['/.well-known/oauth-authorization-server', 200], ['/status', 200], [pathname, 200], ['/revocations', 401]] as const) {
        t.match(await through(path), { status, headers: { 'x-request-id': String }, arrived: undefined }, path)
      }
    })

    t.test('lets everyone through to an open route', async (t) => {
      const { status, arrived } = await through('/public/page?a=b')
      t.match({ status, arrived }, { status: 200, arrived: { url: '/public/page?a=b' } })
    })

    t.test('lets a good token through to a protected route, with its identity', async (t) => {
      for (const path of ['/secret', '/secret/1?a=b&role=nobody']) {
        const { status, arrived } = await through(path, { token })
        t.match({ status, arrived }, { status: 200, arrived: { url: path, headers: identityOf(token, user.id) } })
      }
    })

    t.test('lets only administrators through to their route', async (t) => {
      const { status, arrived } = await through('/admin/1', { token: admin })
      t.match({ status, arrived }, { status: 200, arrived: { headers: { 'x-auth-roles': 'admin' } } })
      for (const path of ['/admin', '/admin/1', '/admin/1?role=', '/admin/1?role=admin']) {
        const { status, arrived } = await through(path, { token })
        t.match({ status, arrived }, { status: 403, arrived: undefined }, path)
      }
    })

    t.test('refuses everything but a good token, with one challenge', async (t) => {
      const refused: Record<string, RequestOptions> = {
        'no token': {},
        'an empty token': { headers: { authorization: 'Bearer ' } },
        'another scheme': { headers: { authorization: 'Basic YTpi' } },
        garbage: { token: 'garbage' },
        tampered: { token: tamperWith(token) },
        unsigned: { token: `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token.split('.')[1]}.` },
        expired: { token: world.expired },
        ...!name.endsWith('JWKS') && { 'not good yet': { token: world.early } }, // mod_oauth2 3.3.1 does not look at nbf
        'a refresh token': { token: refresh },
        'a status list': { token: statusList }
      }
      for (const [name, options] of Object.entries(refused)) {
        for (const path of ['/secret', '/secret/1', '/admin/1']) {
          const { status, challenges, arrived } = await through(path, options)
          t.match({ status, arrived }, { status: usesVerify ? 401 : /^40[13]$/, arrived: undefined }, `${name} at ${path}`)
          t.match(challenges, status === 401 ? [/^Bearer\b/] : [], `${name} at ${path}`)
        }
      }
    })

    t.test('refuses with a problem document', { skip: problems === 'none' && 'it has a page of its own' }, async (t) => {
      const refused: Array<[path: string, options: RequestOptions, status: number, code: string]> = [
        ['/secret', {}, 401, 'missing_token'],
        ['/secret', { token: world.expired }, 401, 'token_expired'],
        ['/secret', { method: 'POST', token: refresh, body: Buffer.from('x'.repeat(20_000)) }, 401, 'wrong_token_type'],
        ['/admin/1', {}, 401, 'missing_token'],
        ['/admin/1', { token: world.expired }, 401, 'token_expired'],
        ['/admin/1', { token }, 403, 'forbidden'],
        ['/admin/1?role=', { token, method: 'DELETE' }, 403, 'forbidden']
      ]
      for (const [path, options, status, code] of refused) {
        const answer = await through(path, options)
        t.match(answer, { status, headers: { 'content-type': /^application\/problem\+json/, 'cache-control': 'no-store' }, arrived: undefined }, path)
        t.match(JSON.parse(answer.text), { type: 'about:blank', status, detail: String, code: problems === 'of Postern' || status === 403 ? code : 'invalid_token' }, path)
        t.match(answer.challenges, [/^Bearer\b/], path)
        t.same(identitiesIn(answer.headers), {})
      }
    })

    t.test('refuses two tokens', async (t) => {
      for (const authorization of [[`Bearer ${token}`, `Bearer ${admin}`], ['Bearer garbage', `Bearer ${token}`], [`Bearer ${token}`, 'Bearer garbage']]) {
        const { status, arrived } = await through('/secret', { headers: { authorization } })
        t.match({ status, arrived }, { status: /^40[01]$/, arrived: undefined })
      }
    })

    t.test('removes identity headers that a client sends', async (t) => {
      for (const headers of [SPOOFED, ALIASES, { ...ALIASES, ...SPOOFED }]) {
        const open = await through('/public/page', { headers })
        t.equal(open.status, 200)
        t.same(identitiesIn(open.arrived?.headers), {}, 'on an open route')

        const own = await through('/secret', { token, headers })
        t.same(identitiesIn(own.arrived?.headers), identityOf(token, user.id), 'on a protected route')

        t.match(await through('/admin/1', { token, headers }), { status: 403, arrived: undefined }, 'on a route that needs a role')
        t.match(await through('/secret', { headers }), { status: 401, arrived: undefined }, 'without a token')
      }
    })

    t.test('lets no client take the identity off', async (t) => {
      const all = 'X-Auth-Subject, X-Auth-Session, X-Auth-Roles, X-Auth-Token-Id'
      for (const connection of [`close, ${all}`, `${all}, close`, 'x-auth-roles', 'keep-alive,X-AUTH-SUBJECT', 'Upgrade, X-Auth-Session', ['close', 'x-auth-token-id']]) {
        const { status, arrived } = await through('/secret', { token, headers: { connection } })
        if (arrived) t.same(identitiesIn(arrived.headers), identityOf(token, user.id), String(connection))
        else t.equal(status, 400, String(connection))
      }
      for (const connection of ['close', 'keep-alive', 'Keep-Alive, TE', 'close, TE', '', ' , close']) {
        t.match(await through('/secret', { token, headers: { connection, te: 'trailers' } }), { status: 200, arrived: { headers: identityOf(token, user.id) } }, connection)
      }
    })

    t.test('passes no identity on in a trailer', async (t) => {
      const options = { method: 'POST', token, body: Buffer.from('x'), isChunked: true, trailers: { 'X-Auth-Subject': 'admin' } }
      const { arrived } = await through('/secret', { ...options, headers: { trailer: 'X-Auth-Subject' } })
      t.same(arrived?.trailers ?? {}, {})
    })

    t.test('checks a request whose cookies are larger than Postern takes', { skip: name.startsWith('HAProxy') && 'HAProxy takes no larger ones' }, async (t) => {
      const headers = { cookie: `a=${'x'.repeat(7500)}`, referer: `http://x/${'x'.repeat(7500)}` }
      const path = `/secret?${'x'.repeat(5000)}`
      t.match(await through(path, { token, headers }), { status: 200, arrived: { headers: { ...headers, ...identityOf(token, user.id) } } })
      t.match(await through(path, { headers }), { status: 401, arrived: undefined })
    })

    t.test('refuses a path that can be read in two ways', async (t) => {
      for (const path of AMBIGUOUS) {
        for (const options of [{}, { token }, { token: admin }]) {
          const { status, arrived } = await through(path, options)
          t.match({ status, arrived }, { status: /^40[0134]$/, arrived: undefined }, path)
        }
      }
    })

    t.test('refuses all other paths', async (t) => {
      for (const path of ELSEWHERE) {
        const { status, arrived } = await through(path, { token: admin })
        t.match({ status, arrived }, { status: /^40[034]$/, arrived: undefined }, path)
      }
    })

    t.test('checks every method, and passes it on', async (t) => {
      for (const method of METHODS) {
        t.match(await through('/secret', { method }), { status: 401, arrived: undefined }, method)
        t.match(await through('/secret', { method, token }), { status: 200, arrived: { method } }, method)
        t.match(await through('/secret', { method, token: world.expired }), { status: 401, arrived: undefined }, method)
      }
    })

    t.test('passes a large body on unchanged', async (t) => {
      const body = randomBytes(100_000)
      const digest = createHash('sha256').update(body).digest('hex')
      for (const isChunked of [false, true]) {
        t.match(await through('/secret', { method: 'POST', token, body, isChunked }), { status: 200, arrived: { length: body.length, digest } })
        t.match(await through('/secret', { method: 'POST', body, isChunked }), { status: 401, arrived: undefined })
      }
    })

    t.test(usesVerify ? 'lets a preflight through without an identity, with VERIFY_PREFLIGHT=allow' : 'refuses a preflight, which has no token', async (t) => {
      const { status, arrived } = await through('/secret', { method: 'OPTIONS', headers: PREFLIGHT })
      t.match({ status, arrived }, usesVerify ? { status: 200, arrived: { headers: { 'x-auth-subject': '-' } } } : { status: 401, arrived: undefined })
    })

    t.test('takes no other request for a preflight', async (t) => {
      const disguises: Array<Record<string, string>> = [{}, { 'x-forwarded-method': 'OPTIONS' }, { x_forwarded_method: 'OPTIONS', 'x-original-method': 'OPTIONS', 'x-http-method-override': 'OPTIONS' }]
      for (const disguise of disguises) {
        for (const method of ['GET', 'POST']) {
          t.match(await through('/secret', { method, headers: { ...PREFLIGHT, ...disguise } }), { status: 401, arrived: undefined })
        }
      }
    })

    t.test('opens a WebSocket only with a good token', { skip: name.startsWith('Apache') && 'mod_proxy_wstunnel is not in the configuration' }, async (t) => {
      const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' }
      t.match(await through('/secret', { token, headers }), { status: 101, arrived: { headers: identityOf(token, user.id) } })
      t.match(await through('/secret', { headers }), { status: 401, arrived: undefined })
    })

    t.test(revocation === 'never' ? 'accepts a token after its logout' : `refuses a token ${revocation} after its logout`, async (t) => {
      const { access_token: token } = await signIn(username)
      t.equal((await through('/secret', { token })).status, 200)
      t.equal((await through('/auth/logout', { method: 'POST', token })).status, 204)

      if (revocation === 'within 2 s') {
        t.equal((await through('/secret', { token })).status, 200, 'the cache still has it')
        await sleep(2100)
      }
      t.equal((await through('/secret', { token })).status, revocation === 'never' ? 200 : 401)
    })
  })
}

t.test('after a good token has expired', async (t) => {
  const { access_token: token, expires_in: seconds } = await world.signInBriefly(t)
  const through = () => Promise.all(gateways.map(async ({ name }, i) => ports[i] !== undefined && { name, ...await send(world, ports[i], '/secret', { token }) }))

  for (const answer of await through()) if (answer) t.equal(answer.status, 200, `${answer.name} lets it through before`)
  await sleep(seconds * 1000 + 2000) // the cache of one of them lasts as long
  for (const answer of await through()) if (answer) t.match(answer, { status: 401, arrived: undefined }, `${answer.name} refuses it`)
})

t.test('when Postern is down', async (t) => {
  const { access_token: token } = await signIn('the-admin')
  await postern.ends('SIGTERM')

  await Promise.all(gateways.map(async ({ name, whenUnavailable }, i) => {
    const port = ports[i]
    if (port === undefined) return
    t.test(`${name} ${whenUnavailable ? 'refuses every request' : 'still verifies tokens'}`, async (t) => {
      const [good, none, open] = await Promise.all([send(world, port, '/secret', { token }), send(world, port, '/secret'), send(world, port, '/public/page')])
      t.match(good, whenUnavailable ? { status: whenUnavailable.down, arrived: undefined } : { status: 200 })
      t.match(none, { status: whenUnavailable?.down ?? 401, arrived: undefined })
      t.equal(open.status, 200, 'open routes stay open')
      if (whenUnavailable?.down === 503) t.match(JSON.parse(good.text), { status: 503, code: 'not_verified' })
    })
  }))
})

t.test('when Postern hangs', async (t) => {
  await createSilentServer(t, world.posternPort)

  await Promise.all(gateways.map(async ({ name, whenUnavailable }, i) => {
    if (ports[i] === undefined || !whenUnavailable) return
    const since = Date.now()
    const { status, arrived } = await send(world, ports[i], '/secret', { token: 'x' })
    t.match({ status, arrived }, { status: whenUnavailable.hanging, arrived: undefined }, `${name} refuses every request`)
    t.ok(Date.now() - since < whenUnavailable.timeoutSeconds * 1000 + 1000, `${name} answers within ${whenUnavailable.timeoutSeconds} s`)
  }))
})

async function signIn (username: string) {
  const response = await postern.request('POST', '/auth/login', { body: { username, password: PASSWORD } })
  return await response.json() as { access_token: string, refresh_token: string }
}

/** Fetches a status list: public, and signed with the same key as access tokens. */
async function fetchStatusList (token: string): Promise<string> {
  const { status } = claimsOf(token)
  const response = await fetch(status.status_list.uri)
  return response.text()
}

interface Claims { sid: string, jti: string, status: { status_list: { uri: string } } }

function claimsOf (token: string): Claims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

/** The identity headers for a token without roles. */
function identityOf (token: string, subject: string) {
  const { sid, jti } = claimsOf(token)
  return { 'x-auth-subject': subject, 'x-auth-session': sid, 'x-auth-roles': '-', 'x-auth-token-id': jti }
}

function identitiesIn (headers: object = {}) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => /^x[^a-z0-9]auth/i.test(name)))
}

/** A token with other claims than the signed ones. */
function tamperWith (token: string): string {
  const [header, , signature] = token.split('.')
  const claims = { ...claimsOf(token), sub: 'somebody-else', roles: ['admin'] }
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}
