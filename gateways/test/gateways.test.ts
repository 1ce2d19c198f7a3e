import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { PASSWORD } from '../../test/helper.ts'
import { startServer } from '../../test/processes.ts'
import { ask, createMute, createWorld, run } from './world.ts'
import { gateways } from './gateways.ts'
import type { Asked } from './world.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']
const PREFLIGHT = { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' }

/** The names of Postern's headers, and every spelling that a service might take for them: many read all but letters and digits as _. */
const SPOOFED = Object.fromEntries(['X-Auth-Subject', 'X-Auth-Session', 'X-Auth-Roles', 'X-Auth-Token-Id'].map((name) => [name, 'admin']))
const ALIASES = Object.fromEntries([..."!#$%&'*+.^_`|~"].flatMap((c) => [`X${c}Auth${c}Subject`, `x-auth${c}roles`, `X${c}Auth-Session`, `X-Auth-Token${c}Id`]).map((name) => [name, 'admin']))

/** Paths that a gateway and the service behind it might read differently. */
const ODD = [
  '//secret', '//secret/1', '/public//../secret', '/public/../secret', '/public/../secret/1', '/public/./../secret',
  '/public/%2e%2e/secret', '/public/%2E%2e/secret', '/public/.%2e/secret', '/public/..%2fsecret', '/public%2f..%2fsecret', '/public/..%5csecret', '/public/..\\secret',
  '/secret;a=b', '/secret;a=b/1', '/public/..;/secret', '/secret%00', '/secret%2f1', '/public/%252e%252e/secret', '/secret/%23', '/secret%3f', '/secret/..', '/public/.'
]

/** Paths that nothing is said about. */
const ELSEWHERE = ['/', '/SECRET', '/Secret/1', '/secretly', '/secret%20', '/admins', '/publicity', '/verify', '/verify/secret', '/oauth/introspect', '/users', '/status', '/revocations', '/docs', '/_postern/anyone']

const world = await createWorld(t)
const postern = await startServer(t, { env: world.env })
const statusList = await statusListOf((await signIn('the-admin')).access_token)

const missing = gateways.map(({ needs }) => needs.find((file) => !existsSync(file)))
const ports = await Promise.all(gateways.map(async (gateway, i) => missing[i] === undefined
  ? run(t, gateway, world).catch(({ message }: Error) => { t.fail(message) }) // so that those which run are ended
  : undefined))

for (const [i, { name, packages, revocation, isAsked }] of gateways.entries()) {
  const skip = ports[i] === undefined && `${missing[i] ?? 'what it needs'} is not there: install ${packages}`
  const through = (path: string, asked?: Asked) => ask(world, ports[i]!, path, asked)

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

    t.test('lets anybody to what is open', async (t) => {
      const { status, arrived } = await through('/public/page?a=b')
      t.match({ status, arrived }, { status: 200, arrived: { url: '/public/page?a=b' } })
    })

    t.test('lets a good token to what is protected, and says whose it is', async (t) => {
      for (const path of ['/secret', '/secret/1?a=b&role=nobody']) {
        const { status, arrived } = await through(path, { token })
        t.match({ status, arrived }, { status: 200, arrived: { url: path, headers: identityOf(token, user.id) } })
      }
    })

    t.test('lets only an administrator to what is the administrator\'s', async (t) => {
      const { status, arrived } = await through('/admin/1', { token: admin })
      t.match({ status, arrived }, { status: 200, arrived: { headers: { 'x-auth-roles': 'admin' } } })
      for (const path of ['/admin', '/admin/1', '/admin/1?role=', '/admin/1?role=admin']) {
        const { status, arrived } = await through(path, { token })
        t.match({ status, arrived }, { status: 403, arrived: undefined }, path)
      }
    })

    t.test('refuses with one challenge who has no good token', async (t) => {
      const refused: Record<string, Asked> = {
        none: {},
        empty: { headers: { authorization: 'Bearer ' } },
        'of another scheme': { headers: { authorization: 'Basic YTpi' } },
        garbage: { token: 'garbage' },
        tampered: { token: tampered(token) },
        unsigned: { token: `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token.split('.')[1]}.` },
        expired: { token: world.expired },
        'of the wrong kind': { token: refresh },
        'a status list': { token: statusList }
      }
      for (const [what, asked] of Object.entries(refused)) {
        for (const path of ['/secret', '/secret/1', '/admin/1']) {
          const { status, challenges, arrived } = await through(path, asked)
          t.match({ status, arrived }, { status: isAsked ? 401 : /^40[13]$/, arrived: undefined }, `${what} at ${path}`)
          t.match(challenges, status === 401 ? [/^Bearer\b/] : [], `${what} at ${path}`)
        }
      }
    })

    t.test('refuses two tokens', async (t) => {
      for (const authorization of [[`Bearer ${token}`, `Bearer ${admin}`], ['Bearer garbage', `Bearer ${token}`], [`Bearer ${token}`, 'Bearer garbage']]) {
        const { status, arrived } = await through('/secret', { headers: { authorization } })
        t.match({ status, arrived }, { status: /^40[01]$/, arrived: undefined })
      }
    })

    t.test('takes an identity from nobody else', async (t) => {
      for (const headers of [SPOOFED, ALIASES, { ...ALIASES, ...SPOOFED }]) {
        const open = await through('/public/page', { headers })
        t.equal(open.status, 200)
        t.same(identitiesIn(open.arrived?.headers), {}, 'where it is open')

        const own = await through('/secret', { token, headers })
        t.same(identitiesIn(own.arrived?.headers), identityOf(token, user.id), 'where it is protected')

        t.match(await through('/admin/1', { token, headers }), { status: 403, arrived: undefined }, 'where a role is needed')
        t.match(await through('/secret', { headers }), { status: 401, arrived: undefined }, 'where there is no token')
      }
    })

    t.test('refuses what can be read as two paths', async (t) => {
      for (const path of ODD) {
        for (const asked of [{}, { token }, { token: admin }]) {
          const { status, arrived } = await through(path, asked)
          t.match({ status, arrived }, { status: /^40[0134]$/, arrived: undefined }, path)
        }
      }
    })

    t.test('knows no other path', async (t) => {
      for (const path of ELSEWHERE) {
        const { status, arrived } = await through(path, { token: admin })
        t.match({ status, arrived }, { status: /^40[034]$/, arrived: undefined }, path)
      }
    })

    t.test('asks for every method, and passes it on', async (t) => {
      for (const method of METHODS) {
        t.match(await through('/secret', { method }), { status: 401, arrived: undefined }, method)
        t.match(await through('/secret', { method, token }), { status: 200, arrived: { method } }, method)
        t.match(await through('/secret', { method, token: world.expired }), { status: 401, arrived: undefined }, method)
      }
    })

    t.test('passes a large body on whole', async (t) => {
      const body = randomBytes(100_000)
      const digest = createHash('sha256').update(body).digest('hex')
      for (const isChunked of [false, true]) {
        t.match(await through('/secret', { method: 'POST', token, body, isChunked }), { status: 200, arrived: { length: body.length, digest } })
        t.match(await through('/secret', { method: 'POST', body, isChunked }), { status: 401, arrived: undefined })
      }
    })

    t.test(isAsked ? 'lets a preflight through as nobody, since VERIFY_PREFLIGHT says so' : 'refuses a preflight, for it has no token', async (t) => {
      const { status, arrived } = await through('/secret', { method: 'OPTIONS', headers: PREFLIGHT })
      t.match({ status, arrived }, isAsked ? { status: 200, arrived: { headers: { 'x-auth-subject': '-' } } } : { status: 401, arrived: undefined })
    })

    t.test('takes nothing else for a preflight', async (t) => {
      const disguises: Array<Record<string, string>> = [{}, { 'x-forwarded-method': 'OPTIONS' }, { x_forwarded_method: 'OPTIONS', 'x-original-method': 'OPTIONS', 'x-http-method-override': 'OPTIONS' }]
      for (const disguise of disguises) {
        for (const method of ['GET', 'POST']) {
          t.match(await through('/secret', { method, headers: { ...PREFLIGHT, ...disguise } }), { status: 401, arrived: undefined })
        }
      }
    })

    t.test('opens a WebSocket only for a good token', { skip: name.startsWith('Apache') && 'mod_proxy_wstunnel is not in the configuration' }, async (t) => {
      const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' }
      t.match(await through('/secret', { token, headers }), { status: 101, arrived: { headers: identityOf(token, user.id) } })
      t.match(await through('/secret', { headers }), { status: 401, arrived: undefined })
    })

    t.test(`learns of a logout ${revocation}`, async (t) => {
      const { access_token: token } = await signIn(username)
      t.equal((await through('/secret', { token })).status, 200)
      t.equal((await through('/auth/logout', { method: 'POST', token })).status, 204)

      if (revocation === 'in 2 s') {
        t.equal((await through('/secret', { token })).status, 200, 'it remembers')
        await sleep(2100)
      }
      t.equal((await through('/secret', { token })).status, revocation === 'never' ? 200 : 401)
    })
  })
}

t.test('when a token that was good expires', async (t) => {
  const { access_token: token, expires_in: seconds } = await world.signInBriefly(t)
  const through = () => Promise.all(gateways.map(async ({ name }, i) => ports[i] !== undefined && { name, ...await ask(world, ports[i], '/secret', { token }) }))

  for (const answer of await through()) if (answer) t.equal(answer.status, 200, `${answer.name} lets it in`)
  await sleep(seconds * 1000 + 2000) // one of them remembers for as long
  for (const answer of await through()) if (answer) t.match(answer, { status: 401, arrived: undefined }, `${answer.name} lets it in no more`)
})

t.test('when Postern is down', async (t) => {
  const { access_token: token } = await signIn('the-admin')
  await postern.ends('SIGTERM')

  await Promise.all(gateways.map(async ({ name, without }, i) => {
    const port = ports[i]
    if (port === undefined) return
    t.test(`${name} ${without ? 'lets nobody in' : 'goes on'}`, async (t) => {
      const [good, none, open] = await Promise.all([ask(world, port, '/secret', { token }), ask(world, port, '/secret'), ask(world, port, '/public/page')])
      t.match(good, without ? { status: without.down, arrived: undefined } : { status: 200 })
      t.match(none, { status: without?.down ?? 401, arrived: undefined })
      t.equal(open.status, 200, 'what is open stays open')
    })
  }))
})

t.test('when Postern hangs', async (t) => {
  await createMute(t, world.posternPort)

  await Promise.all(gateways.map(async ({ name, without }, i) => {
    if (ports[i] === undefined || !without) return
    const since = Date.now()
    const { status, arrived } = await ask(world, ports[i], '/secret', { token: 'x' })
    t.match({ status, arrived }, { status: without.hanging, arrived: undefined }, `${name} lets nobody in`)
    t.ok(Date.now() - since < without.patienceSeconds * 1000 + 1000, `${name} gives up after ${without.patienceSeconds} s`)
  }))
})

async function signIn (username: string) {
  const response = await postern.request('POST', '/auth/login', { body: { username, password: PASSWORD } })
  return await response.json() as { access_token: string, refresh_token: string }
}

/** Signed with the same key as access tokens, and there for everybody to fetch. */
async function statusListOf (token: string): Promise<string> {
  const { status } = claimsOf(token)
  const response = await fetch(status.status_list.uri)
  return response.text()
}

interface Claims { sid: string, jti: string, status: { status_list: { uri: string } } }

function claimsOf (token: string): Claims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

/** The headers that say whose a token without roles is. */
function identityOf (token: string, subject: string) {
  const { sid, jti } = claimsOf(token)
  return { 'x-auth-subject': subject, 'x-auth-session': sid, 'x-auth-roles': '-', 'x-auth-token-id': jti }
}

function identitiesIn (headers: object = {}) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => /^x[^a-z0-9]auth/i.test(name)))
}

/** A token that says something else than what was signed. */
function tampered (token: string): string {
  const [header, , signature] = token.split('.')
  const claims = { ...claimsOf(token), sub: 'somebody-else', roles: ['admin'] }
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}
