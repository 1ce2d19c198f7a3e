import { createHmac, sign } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { options, plugins } from '../../app.ts'
import { readConfig } from '../../plugins/core/config/index.ts'
import { NO_HOLD, PASSWORD, TEST_ENVIRONMENT, databaseUrl } from '../../test/helper.ts'
import { start, startServer } from '../../test/processes.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

const TIMEOUT_MILLISECONDS = 8000
const MAX_SILENCE_SECONDS = 3
const LOGOUTS = 10
const FOLLOWING = ['feed', 'status-list']

interface Tokens { access_token: string, refresh_token: string }

/**
 * Tests a verifier in the service that `command` starts; service.ts shows the routes that it needs. With `isSecond` it
 * tests only what depends on the framework.
 */
export async function testVerifier (t: Test, command: string[], { isSecond = false } = {}) {
  const port = await freePort()
  const env = { PORT: String(port), ISSUER: `http://127.0.0.1:${port}`, DATABASE_URL: databaseUrl(t), STATUS_LIST_TTL: '1s' }
  const operator = await operate(t, env)
  const secret = await operator.apiClients.create('service') ?? ''
  const service = start(t, { command, env: { ISSUER: env.ISSUER, CLIENT: 'service', SECRET: secret, MAX_SILENCE: String(MAX_SILENCE_SECONDS) } })
  const address = (await service.says('listening on ')).replace('listening on ', '')

  const ask = (path: string, authorization?: string) => fetch(`${address}/${path}`, { headers: { ...authorization !== undefined && { authorization } } })
  const offer = async (path: string, token: string) => outcomeOf(await ask(path, `Bearer ${token}`))

  /** Repeats the request until its outcome is the expected one. Returns the milliseconds that it took. */
  async function waitFor (path: string, token: string, expected: string): Promise<number> {
    const since = performance.now()
    let outcome
    do {
      outcome = await offer(path, token)
      if (outcome === expected) return performance.now() - since
    } while (performance.now() - since < TIMEOUT_MILLISECONDS)
    throw new Error(`/${path} answers ${outcome} and never ${expected}`)
  }

  await t.test('refuses every token before Postern has started', async (t) => {
    for (const name of ['feed', 'status-list', 'none', 'open']) t.equal(await offer(name, `${part({ alg: 'ES256', typ: 'at+jwt', kid: 'x' })}.e30.AA`), '503 unavailable', name)
  })

  let postern = await startServer(t, { env })
  const send = (path: string, headers: Record<string, string>, body?: object) => fetch(env.ISSUER + path, { method: 'POST', headers: { ...headers, ...body && { 'content-type': 'application/json' } }, body: JSON.stringify(body) })
  const post = async (path: string, body: object) => await (await send(path, {}, body)).json() as Tokens
  const signUp = (username: string) => post('/auth/register', { username, password: PASSWORD })
  const signIn = (username = 'ada') => post('/auth/login', { username, password: PASSWORD })
  const logOut = async (token: string) => { await send('/auth/logout', { authorization: `Bearer ${token}` }) }
  const { access_token: good, refresh_token: refreshToken } = await signUp('ada')

  await t.test('accepts a good token as soon as Postern runs, and gives its claims', async (t) => {
    for (const name of ['feed', 'status-list', 'none', 'open']) await waitFor(name, good, '200')
    const claims = await (await ask('feed', `bearer ${good}`)).json() as Record<string, unknown>
    t.match(claims, { iss: env.ISSUER, aud: 'postern', sub: claimsOf(good).sub, sid: claimsOf(good).sid, roles: [] })
  })

  await t.test('demands exactly one token', async (t) => {
    const nothing = await ask('feed')
    t.equal(await outcomeOf(nothing), '401 missing_token')
    t.equal(nothing.headers.get('www-authenticate'), 'Bearer')
    t.match(nothing.headers.get('content-type'), /^application\/problem\+json/)
    for (const authorization of ['Basic YTpi', 'Bearer', good]) t.equal(await outcomeOf(await ask('feed', authorization)), '401 missing_token', authorization.slice(0, 8))
    t.equal(await statusOfTwo(`${address}/feed`, `Bearer ${good}`), 401)
  })

  await t.test('demands a role', async (t) => {
    await operator.db.users.update(String(claimsOf((await signUp('grace')).access_token).sub), { roles: ['admin'] }, NO_HOLD)
    const { access_token: admin } = await signIn('grace')
    const plain = forged(operator, {}, { roles: ['administrator'] })
    const response = await ask('feed/admin', `Bearer ${plain}`)
    t.equal(await outcomeOf(response), '403 forbidden')
    t.match(response.headers.get('www-authenticate'), /^Bearer error="insufficient_scope", error_description="[^"]+"$/)
    for (const name of FOLLOWING) t.equal(await offer(`${name}/admin`, admin), '200', name)
  })

  await t.test('refuses everything but a good access token', async (t) => {
    const seconds = Math.floor(Date.now() / 1000)
    const [head = '', body = '', signature = ''] = forged(operator).split('.')
    const hmac = `${part({ ...headerOf(good), alg: 'HS256' })}.${body}`
    const list = claimsOf(good).status as { status_list: { uri: string } }
    const placed = (place: object) => forged(operator, {}, { status: { status_list: { ...list.status_list, ...place } } })

    const tokens: Record<string, [token: string, code: string]> = {
      garbage: ['garbage', 'invalid_token'],
      'garbage in three parts': ['a.b.c', 'wrong_token_type'],
      'a refresh token': [refreshToken, 'invalid_token'],
      'a word after the token': [`${good} x`, 'invalid_token'],
      'a fourth part': [`${good}.AAAA`, 'invalid_token'],
      'another signature': [`${head}.${body}.${signature.replace(/^./, (first) => first === 'A' ? 'B' : 'A')}`, 'invalid_token'],
      'a short signature': [`${head}.${body}.${signature.slice(0, 40)}`, 'invalid_token'],
      'no signature': [`${head}.${body}.`, 'invalid_token'],
      'another body': [`${head}.${part({ ...claimsOf(good), sub: 'root' })}.${signature}`, 'invalid_token'],
      'alg none': [`${part({ ...headerOf(good), alg: 'none' })}.${body}.`, 'invalid_token'],
      'alg none and a signature': [`${part({ ...headerOf(good), alg: 'none' })}.${body}.${signature}`, 'invalid_token'],
      'alg HS256 with the public key': [`${hmac}.${createHmac('sha256', operator.signingKeys.current().publicKey).update(hmac).digest('base64url')}`, 'invalid_token'],
      'another alg': [forged(operator, { alg: 'RS256' }), 'invalid_token'],
      'an unknown key': [forged(operator, { kid: 'unknown' }), 'invalid_token'],
      'a kid that every object inherits': [forged(operator, { kid: '__proto__' }), 'invalid_token'],
      'a kid that is a list': [forged(operator, { kid: [operator.signingKeys.current().kid] }), 'invalid_token'],
      'no kid': [forged(operator, { kid: undefined }), 'invalid_token'],
      'a critical extension': [forged(operator, { crit: ['b64'], b64: true }), 'invalid_token'],
      'another type': [forged(operator, { typ: 'JWT' }), 'wrong_token_type'],
      'no type': [forged(operator, { typ: undefined }), 'wrong_token_type'],
      'a header that is a list': [`${part([headerOf(good)])}.${body}.${signature}`, 'wrong_token_type'],
      'a header nested too deeply': [`${Buffer.from('['.repeat(6000)).toString('base64url')}.${body}.${signature}`, 'wrong_token_type'],
      'a body that is a list': [signed(operator, {}, [claimsOf(good)]), 'invalid_token'],
      'a body that is a number': [signed(operator, {}, 5), 'invalid_token'],
      'a body that is null': [signed(operator, {}, null), 'invalid_token'],
      'another issuer': [forged(operator, {}, { iss: `${env.ISSUER}/` }), 'invalid_token'],
      'another audience': [forged(operator, {}, { aud: 'other' }), 'invalid_token'],
      'several audiences': [forged(operator, {}, { aud: ['postern'] }), 'invalid_token'],
      'an expiry in the past': [forged(operator, {}, { exp: seconds - 1 }), 'token_expired'],
      'an expiry that is a string': [forged(operator, {}, { exp: String(seconds + 60) }), 'invalid_token'],
      'an expiry that is true': [forged(operator, {}, { exp: true }), 'invalid_token'],
      'an issue time in the future': [forged(operator, {}, { iat: seconds + 120 }), 'invalid_token'],
      'roles that are no list': [forged(operator, {}, { roles: 'admin' }), 'invalid_token'],
      'a role that is no string': [forged(operator, {}, { roles: [1] }), 'invalid_token'],
      'an empty subject': [forged(operator, {}, { sub: '' }), 'invalid_token']
    }
    for (const claim of ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti', 'sid', 'roles', 'auth_time']) {
      tokens[`no ${claim}`] = [forged(operator, {}, { [claim]: undefined }), 'invalid_token']
    }
    for (const [name, [token, code]] of Object.entries(tokens)) t.equal(await offer('feed', token), `401 ${code}`, name)

    t.equal(await offer('feed', forged(operator)), '200', 'the unchanged token is good')
    const places = {
      'no status list': forged(operator, {}, { status: undefined }),
      'at another address': placed({ uri: 'http://127.0.0.1:9/status/x' }),
      'at an address that starts like the issuer': placed({ uri: `${env.ISSUER}0/status/x` }),
      'an index past the end': placed({ idx: 1 << 20 }),
      'a huge index': placed({ idx: 2 ** 32 }),
      'a negative index': placed({ idx: -1 }),
      'an index that is a string': placed({ idx: '1' })
    }
    for (const [name, token] of Object.entries(places)) t.equal(await offer('status-list', token), '401 invalid_token', name)
    t.equal(await offer('status-list', placed({ uri: `${env.ISSUER}/.well-known/jwks.json` })), '503 unavailable', 'not a status list')
    t.equal(await offer('status-list', placed({ uri: `${env.ISSUER}/status/AAAAAAAAAAAA` })), '503 unavailable', 'a missing status list')
  })

  if (isSecond) return

  await t.test('refuses a token after its logout', async (t) => {
    const delays: number[] = []
    for (let i = 0; i < LOGOUTS; i++) {
      const { access_token: token } = await signIn()
      t.equal(await offer('feed', token), '200')
      await logOut(token)
      delays.push(await waitFor('feed', token, '401 token_revoked'))
    }
    delays.sort((a, b) => a - b)
    t.comment(`feed: refused ${delays[LOGOUTS / 2]?.toFixed(1)} ms after a logout's response (median), ${delays.at(-1)?.toFixed(1)} ms at most`)

    const { access_token: token } = await signIn()
    t.equal(await offer('status-list', token), '200')
    await logOut(token)
    t.comment(`status list with a ttl of 1 s: refused after ${(await waitFor('status-list', token, '401 token_revoked')).toFixed(0)} ms`)
    t.equal(await offer('none', token), '200', 'without following, the token stays good')
  })

  await t.test('refuses a revoked token, and accepts the others of its session', async (t) => {
    const first = await signIn()
    const second = await post('/auth/refresh', { refresh_token: first.refresh_token })
    const authorization = `Basic ${Buffer.from(`service:${secret}`).toString('base64')}`
    await send('/oauth/revoke', { authorization }, { token: first.access_token })
    for (const name of FOLLOWING) {
      await waitFor(name, first.access_token, '401 token_revoked')
      t.equal(await offer(name, second.access_token), '200', name)
    }
  })

  await t.test('accepts a new key, of every algorithm', async (t) => {
    for (const algorithm of ['EdDSA', 'RS256', 'PS256', 'ES256']) {
      const other = await operate(t, { ...env, JWT_ALGORITHM: algorithm }) // adds a key that signs immediately
      const { access_token: token } = await signIn()
      t.equal(headerOf(token).kid, other.signingKeys.current().kid)
      t.equal(headerOf(token).alg, algorithm)
      for (const name of FOLLOWING) {
        await waitFor(name, token, '200')
        t.equal(await offer(name, `${token.slice(0, -9)}AAAAAAAAA`), '401 invalid_token', `${name} ${algorithm}`)
      }
    }
    t.equal(await offer('feed', good), '200', 'the first key is still good')
  })

  await t.test('refuses the tokens of a revoked key, whether it still signed or not', async (t) => {
    const old = good
    const { access_token: recent } = await signIn()
    for (const name of FOLLOWING) for (const token of [old, recent]) t.equal(await offer(name, token), '200', name)
    await operator.signingKeys.revoke(String(headerOf(old).kid))
    await waitFor('feed', old, '401 token_revoked')
    await waitFor('status-list', old, '401 invalid_token')
    t.equal(await offer('feed', recent), '200')
    await operator.signingKeys.revoke(String(headerOf(recent).kid))
    await waitFor('feed', recent, '401 token_revoked')
    await waitFor('status-list', recent, '401 invalid_token')
    const { access_token: next } = await signIn()
    for (const name of FOLLOWING) await waitFor(name, next, '200')
  })

  await t.test('accepts tokens while Postern runs, even if nothing happens', async (t) => {
    const { access_token: token } = await signIn()
    const until = performance.now() + (MAX_SILENCE_SECONDS + 0.5) * 1000
    for (const name of FOLLOWING) await waitFor(name, token, '200')
    while (performance.now() < until) {
      for (const name of FOLLOWING) t.equal(await offer(name, token), '200', name)
      await sleep(100)
    }
  })

  await t.test('refuses while Postern hangs or is down, and catches up when it is back', async (t) => {
    const { access_token: token } = await signIn()
    const { access_token: early } = await signIn()
    const { access_token: late } = await signIn()
    await logOut(early)
    for (const name of ['feed', 'open']) await waitFor(name, early, '401 token_revoked')
    for (const name of [...FOLLOWING, 'open', 'none']) await waitFor(name, late, '200')

    postern.ends('SIGSTOP') // not awaited, because it only stops: the connection stays open and silent
    t.comment(`feed: refused ${(await waitFor('feed', token, '503 unavailable') / 1000).toFixed(1)} s after Postern fell silent, of ${MAX_SILENCE_SECONDS}`)
    t.equal((await ask('feed', `Bearer ${token}`)).headers.get('www-authenticate'), null)
    await postern.ends('SIGKILL')
    await waitFor('status-list', token, '503 unavailable')
    t.equal(await offer('feed', token), '503 unavailable')
    t.equal(await offer('open', token), '200', 'failOpen accepts it')
    t.equal(await offer('open', early), '401 token_revoked', 'failOpen forgets no revocation')
    t.equal(await offer('none', token), '200', 'with cached keys, and without following, it stays good')

    await operator.db.sessions.end(String(claimsOf(late).sid))
    postern = await startServer(t, { env })
    for (const name of FOLLOWING) {
      await waitFor(name, token, '200')
      t.equal(await offer(name, late), '401 token_revoked', name)
    }
    await waitFor('open', late, '401 token_revoked')
  })
}

/** Postern's plugins on the database of the running Postern, as an operator's command has them. */
async function operate (t: Test, env: Record<string, string>): Promise<FastifyInstance> {
  const config = readConfig({ ...TEST_ENVIRONMENT, ...env })
  const service = Fastify(options())
  t.teardown(() => service.close())
  await service.register(plugins, { config })
  await service.ready()
  return service
}

export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on a port
  server.close()
  await once(server, 'close')
  return port
}

async function outcomeOf (response: Response): Promise<string> {
  const body = await response.text()
  return response.ok ? String(response.status) : `${response.status} ${JSON.parse(body).code}`
}

async function statusOfTwo (url: string, authorization: string): Promise<number | undefined> {
  const request = httpRequest(url, { headers: ['host', 'localhost', 'authorization', authorization, 'authorization', authorization] as never }).end() // its types omit the flat form
  const [response] = await once(request, 'response')
  response.resume()
  return response.statusCode
}

function part (value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function read (token: string, index: number): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString())
}

function headerOf (token: string) {
  return read(token, 0)
}

function claimsOf (token: string) {
  return read(token, 1)
}

/** A JWT with any payload, signed with Postern's own key, which must be ES256. */
function signed ({ signingKeys }: FastifyInstance, header: object, payload: unknown): string {
  const { kid, privateKey } = signingKeys.current()
  const text = `${part({ alg: 'ES256', typ: 'at+jwt', kid, ...header })}.${part(payload)}`
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** An access token like Postern's, except for the given header and claims. */
function forged (operator: FastifyInstance, header: object = {}, claims: object = {}): string {
  const seconds = Math.floor(Date.now() / 1000)
  const { issuer, audience } = operator.config
  return signed(operator, header, { iss: issuer, aud: audience, sub: 'ada', client_id: 'postern', iat: seconds, exp: seconds + 60, jti: 'a', sid: 'b', roles: [], auth_time: seconds, ...claims })
}
