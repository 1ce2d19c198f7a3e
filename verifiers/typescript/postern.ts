// Verifies Postern's access tokens inside a service. Copy this file: it needs Node 22.18 or newer, and nothing else.

import { constants, createPublicKey, verify as verifySignature } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { inflateSync } from 'node:zlib'
import type { KeyObject } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

const ATTEMPT_MILLISECONDS = 5000
const PAUSE_MILLISECONDS = 500 // least time between two fetches of the same thing
const CLOCK_SKEW_SECONDS = 60
const LARGEST_LIST_BYTES = 1 << 24

const ALGORITHMS = new Map<unknown, [digest: string | null, options: object]>([
  ['ES256', ['sha256', { dsaEncoding: 'ieee-p1363' }]],
  ['RS256', ['sha256', { padding: constants.RSA_PKCS1_PADDING }]],
  ['PS256', ['sha256', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }]],
  ['EdDSA', [null, {}]]
])

const refusals = {
  missing_token: [401, 'Send a token in the Authorization header, as Bearer.'],
  invalid_token: [401, 'The token is not valid here. Sign in again.'],
  wrong_token_type: [401, 'This is another type of token. Send an access token.'],
  token_expired: [401, 'The token has expired. Refresh it, or sign in again.'],
  token_revoked: [401, 'The token was revoked. Sign in again.'],
  forbidden: [403, 'The token lacks the required role. Ask an administrator.'],
  unavailable: [503, 'The token cannot be checked right now. Try again in a moment.']
} as const

/** The reason for a refused token. `code` is stable. Log the `cause` of `unavailable`. */
export interface Refusal extends Error { code: keyof typeof refusals, status: 401 | 403 | 503 }

/** The claims of an access token (RFC 9068). `sid` is the session. Times are in seconds since 1970. */
export interface Claims { iss: string, aud: string, sub: string, client_id: string, jti: string, sid: string, roles: string[], iat: number, exp: number, auth_time: number }

export interface VerifierOptions {
  /** Exactly Postern's ISSUER and AUDIENCE. The verifier finds all addresses from the issuer. */
  issuer: string
  audience: string
  /** The source of revocations: the feed (milliseconds), status lists (at most their ttl late), or none. */
  follow: 'feed' | 'status-list' | 'none'
  /** The credentials of an API client, from `clients create`. Only the feed needs them. */
  clientId?: string
  clientSecret?: string
  /** Seconds that the feed may be silent before tokens are refused. Postern sends something every 15. Default: 30. */
  maxSilence?: number
  /** Accepts tokens whose revocation cannot be checked, and keeps keys that cannot be fetched again. Default: false. */
  failOpen?: boolean
}

export interface Verifier {
  /** Resolves to the claims of a good token. Rejects with a `Refusal` only. */
  verify: (token: string) => Promise<Claims>
  /** An `onRequest` hook for Fastify. Sets `request.user` to the claims, or answers 401, 503, or 403 when the token lacks the role. */
  hook: (role?: string) => (request: { raw: IncomingMessage }, reply: Reply) => Promise<unknown>
  /** The same for Express, and for every framework that calls `(request, response, next)`. */
  middleware: (role?: string) => (request: IncomingMessage, response: ServerResponse, next: () => void) => Promise<unknown>
  /** Stops following revocations, so that the process can end. */
  close: () => void
}

interface Reply { code: (status: number) => Reply, headers: (headers: Record<string, string>) => Reply, send: (body: string) => unknown }
interface Revocation { id: string, until: string }
interface List { bits: Buffer, etag: string, exp: number, ttl: number, goodUntil: number }
type Get = (url: string, headers?: Record<string, string>, signal?: AbortSignal) => Promise<Response>
type OpenJwt = (jwt: string, typ: string) => Promise<{ kid: string, payload: Record<string, unknown> }>
/** Throws a refusal for a revoked token, and any other error when it cannot find out. */
type Check = (claims: Claims & { status?: unknown }, kid: string) => Promise<void>

/** Starts to follow revocations. One verifier per process is enough. */
export function createVerifier (options: VerifierOptions): Verifier {
  const { issuer, audience, follow, clientId, clientSecret, failOpen = false } = options
  if (follow === 'feed' && !(clientId && clientSecret)) throw new Error('The feed needs clientId and clientSecret.')
  const stop = new AbortController()

  const get: Get = async (url, headers, signal = AbortSignal.timeout(ATTEMPT_MILLISECONDS)) => {
    const response = await fetch(url, { headers: { 'cache-control': 'no-cache', ...headers }, redirect: 'error', signal: AbortSignal.any([signal, stop.signal]) })
    if (!response.ok && response.status !== 304) throw new Error(`${url} answered ${response.status}`)
    return response
  }

  const keys = createKeyring(issuer, get, failOpen)
  const openJwt: OpenJwt = async (jwt, typ) => {
    const [, head = '', body = '', signature = ''] = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(jwt) ?? []
    const header = parsePart(head)
    if (!head || header.typ !== typ) throw refusal(head ? 'wrong_token_type' : 'invalid_token')
    const key = await keys.find(header.kid)
    const [digest, how] = ALGORITHMS.get(key?.alg) ?? []
    const isGood = key && header.alg === key.alg && header.crit === undefined && // the key decides the algorithm; the token only repeats it
      verifySignature(digest, Buffer.from(`${head}.${body}`), { key: key.publicKey, ...how }, Buffer.from(signature, 'base64url'))
    if (!isGood) throw refusal('invalid_token')
    return { kid: header.kid as string, payload: parsePart(body) } // only a string finds a key
  }

  const check: Check = follow === 'feed' ? followFeed(options, get, stop.signal) : follow === 'status-list' ? readStatusLists(issuer, get, openJwt, keys.limit) : async () => {}

  async function verify (token: string): Promise<Claims> {
    try {
      const { kid, payload } = await openJwt(token, 'at+jwt')
      if (payload.iss !== issuer || payload.aud !== audience || !areComplete(payload)) throw refusal('invalid_token')
      if (payload.exp * 1000 <= Date.now()) throw refusal('token_expired') // to the second: the revocation may be forgotten from then on
      await check(payload, kid).catch((error) => { if (isRefusal(error) || !failOpen) throw error })
      return payload
    } catch (error) {
      throw isRefusal(error) ? error : refusal('unavailable', error)
    }
  }

  async function authorize ({ headers, rawHeaders }: IncomingMessage, role?: string): Promise<Claims> {
    const [, token] = /^bearer (.*)$/i.exec(headers.authorization ?? '') ?? []
    if (token === undefined) throw refusal('missing_token')
    const isRepeated = rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === 'authorization').length > 1
    if (isRepeated) throw refusal('invalid_token') // Node gives the first; a gateway may have checked the last
    const claims = await verify(token)
    if (role !== undefined && !claims.roles.includes(role)) throw refusal('forbidden')
    return claims
  }

  const ask = (request: IncomingMessage, role?: string) =>
    authorize(request, role).then((user) => ({ user, answer: undefined }), (error: Refusal) => ({ user: undefined, answer: toResponse(error) }))

  return {
    verify,
    close: () => stop.abort(),
    hook: (role) => async (request, reply) => {
      const { user, answer } = await ask(request.raw, role)
      if (answer) return reply.code(answer.status).headers(answer.headers).send(answer.body)
      Object.assign(request, { user })
    },
    middleware: (role) => async (request, response, next) => {
      const { user, answer } = await ask(request, role)
      if (answer) return response.writeHead(answer.status, answer.headers).end(answer.body)
      Object.assign(request, { user })
      next()
    }
  }
}

/** Postern's public keys. Fetches them again when they are too old, and when one is missing. */
function createKeyring (issuer: string, get: Get, failOpen: boolean) {
  let keys = new Map<unknown, { alg: string, publicKey: KeyObject }>()
  let [loadedAt, maxAge, limit] = [-Infinity, 0, Infinity]

  const load = shareOutcome(async () => {
    const asked = performance.now()
    const metadata = await (await get(`${issuer}/.well-known/oauth-authorization-server`)).json() as { issuer: string, jwks_uri: string }
    if (metadata.issuer !== issuer) throw new Error(`The issuer is ${metadata.issuer}, not ${issuer}`)
    const response = await get(metadata.jwks_uri)
    const jwks = await response.json() as { keys: Array<{ kid: string, alg: string }> }
    const usable = jwks.keys.filter(({ alg }) => ALGORITHMS.has(alg))
    keys = new Map(usable.map((jwk) => [jwk.kid, { alg: jwk.alg, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) }]))
    maxAge = Number(/max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1] ?? 60)
    loadedAt = asked
  })

  return {
    /** Lowers the age at which keys are fetched again. Without the feed, only a new fetch shows that a key was revoked. */
    limit (seconds: number) { limit = seconds },

    async find (kid: unknown) {
      const isOld = performance.now() - loadedAt > Math.min(maxAge, limit) * 1000
      if (isOld) await load().catch((error) => { if (!failOpen) throw error })
      if (!keys.has(kid)) await load()
      return keys.get(kid)
    }
  }
}

/** Follows GET /revocations. Remembers every revoked token, session and key until it expires. */
function followFeed ({ issuer, clientId, clientSecret, maxSilence = 30 }: VerifierOptions, get: Get, stop: AbortSignal): Check {
  const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`
  const revoked = new Map<string, number>()
  const attempted = Promise.withResolvers<void>()
  let [cursor, lastMessageAt, fault] = ['0', -Infinity, undefined as unknown]

  const remember = ({ id, until }: Revocation) => revoked.set(id, Date.parse(until))

  async function catchUp () { // in pages: a page says when all past revocations were sent; events do not
    for (let more = true; more;) {
      const page = await (await get(`${issuer}/revocations?since=${cursor}`, { authorization })).json() as { revocations: Revocation[], cursor: string, more: boolean }
      page.revocations.forEach(remember)
      ;({ cursor, more } = page)
    }
  }

  async function listen (onMessage: () => void, silence: AbortSignal) {
    const { body } = await get(`${issuer}/revocations`, { authorization, accept: 'text/event-stream', 'last-event-id': cursor }, silence)
    let [rest, id, data] = ['', cursor, '']
    for await (const chunk of body!.pipeThrough(new TextDecoderStream())) { // a 200 to GET has a body
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (line.startsWith('id: ')) id = line.slice(4)
        else if (line.startsWith('data: ')) data = line.slice(6)
        else if (line === '' && data) {
          remember(JSON.parse(data))
          ;[cursor, data] = [id, '']
        } else if (line.startsWith(':')) for (const [id, until] of revoked) if (until <= Date.now()) revoked.delete(id)
      }
      onMessage()
    }
    throw new Error('The feed has ended')
  }

  async function follow () {
    const silence = new AbortController()
    const timer = setTimeout(() => silence.abort(), maxSilence * 1000 * 2 / 3) // the last third is for the new connection
    try {
      await catchUp()
      await listen(() => {
        lastMessageAt = performance.now()
        timer.refresh()
        attempted.resolve()
      }, silence.signal)
    } catch (error) {
      fault = error
    }
    clearTimeout(timer)
    attempted.resolve()
    await sleep(PAUSE_MILLISECONDS, undefined, { ref: false })
    if (!stop.aborted) follow()
  }
  follow() // it does not reject

  return async ({ jti, sid }, kid) => {
    await attempted.promise
    if (revoked.has(jti) || revoked.has(sid) || revoked.has(kid)) throw refusal('token_revoked')
    if (performance.now() - lastMessageAt > maxSilence * 1000) throw fault ?? new Error('The feed is silent')
  }
}

/** Reads the status lists that tokens point to (draft-ietf-oauth-status-list-21), each again after its `ttl`. */
function readStatusLists (issuer: string, get: Get, openJwt: OpenJwt, limitKeys: (seconds: number) => void): Check {
  const lists = new Map<string, List>()

  const load = shareOutcome(async (uri) => {
    for (const [uri, { exp }] of lists) if (exp * 1000 <= Date.now()) lists.delete(uri)
    const asked = performance.now()
    const known = lists.get(uri)
    const response = await get(uri, { accept: 'application/statuslist+jwt', ...known && { 'if-none-match': known.etag } })
    const list = known && response.status === 304 ? known : await read(response, uri)
    lists.set(uri, { ...list, goodUntil: asked + list.ttl * 1000 })
    limitKeys(list.ttl)
  })

  async function read (response: Response, uri: string): Promise<List> {
    const { sub, iat, exp, ttl, status_list: list } = await openJwt(await response.text(), 'statuslist+jwt').then(({ payload }) => payload, () => ({}) as Record<string, unknown>)
    const { bits, lst } = Object(list) as { bits?: unknown, lst?: unknown }
    const isGood = sub === uri && isTime(iat) && isTime(exp) && iat <= Date.now() / 1000 + CLOCK_SKEW_SECONDS && exp * 1000 > Date.now() && typeof ttl === 'number' && bits === 1
    if (!isGood) throw new Error(`${uri} is not a valid status list`)
    return { bits: inflateSync(Buffer.from(String(lst), 'base64url'), { maxOutputLength: LARGEST_LIST_BYTES }), etag: response.headers.get('etag') ?? '', exp, ttl, goodUntil: 0 }
  }

  return async ({ status }) => {
    const { idx, uri } = Object(Object(status).status_list) as { idx?: unknown, uri?: unknown }
    if (typeof uri !== 'string' || !uri.startsWith(`${issuer}/`) || !Number.isSafeInteger(idx)) throw refusal('invalid_token')
    if ((lists.get(uri)?.goodUntil ?? 0) <= performance.now()) await load(uri)
    const byte = lists.get(uri)?.bits[Math.floor(Number(idx) / 8)]
    if (byte === undefined) throw refusal('invalid_token') // out of range
    if (byte >> Number(idx) % 8 & 1) throw refusal('token_revoked')
  }
}

/** Runs one attempt per key at a time. All callers share its outcome, a failure too, until PAUSE_MILLISECONDS after it. */
function shareOutcome (attempt: (key: string) => Promise<void>) {
  const last = new Map<string, { outcome: Promise<void>, endedAt: number }>()
  return (key = ''): Promise<void> => {
    const before = last.get(key)
    if (before && performance.now() < before.endedAt + PAUSE_MILLISECONDS) return before.outcome
    const now = { outcome: attempt(key).finally(() => { now.endedAt = performance.now() }), endedAt: Infinity }
    last.set(key, now)
    return now.outcome
  }
}

/** A part of a token as a JSON object; an empty object when it is anything else. */
function parsePart (part: string): Record<string, unknown> {
  try {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString())
    return Array.isArray(value) ? {} : Object(value)
  } catch {
    return {}
  }
}

function isTime (value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function areComplete (claims: Record<string, unknown>): claims is Record<string, unknown> & Claims {
  const { sub, client_id: clientId, jti, sid, iat, exp, auth_time: authTime, nbf, roles } = claims
  return [sub, clientId, jti, sid].every((value) => typeof value === 'string' && value !== '') && [exp, authTime].every(isTime) &&
    isTime(iat) && iat <= Date.now() / 1000 + CLOCK_SKEW_SECONDS && nbf === undefined &&
    Array.isArray(roles) && roles.every((role) => typeof role === 'string')
}

function refusal (code: Refusal['code'], cause?: unknown): Refusal {
  const [status, detail] = refusals[code]
  return Object.assign(new Error(detail, { cause }), { code, status })
}

function isRefusal (error: unknown): error is Refusal {
  return Object.hasOwn(refusals, String((error as { code?: unknown }).code))
}

/** The response to a refusal, as Postern itself gives it: a challenge (RFC 6750) and a problem (RFC 9457). */
function toResponse ({ code, status, message }: Refusal) {
  const fault = status === 403 ? 'insufficient_scope' : 'invalid_token'
  const challenge = code === 'missing_token' ? 'Bearer' : `Bearer error="${fault}", error_description="${message}"`
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...status !== 503 && { 'www-authenticate': challenge } },
    body: JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail: message, code })
  }
}
