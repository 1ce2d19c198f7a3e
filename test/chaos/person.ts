import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Random, Service } from './service.ts'

/** One session, as somebody knows it who was answered. */
interface Device {
  /** Every access token that was ever given out. */
  access: string[]
  /** Every refresh token, the current one last. */
  refresh: string[]
  isOver: boolean
}

type Action = 'login' | 'refresh' | 'race' | 'logout' | 'logout all' | 'password' | 'replay'
type Doubt = { action: Action | 'register', device?: Device, next?: string }

const ACTIONS: Action[] = ['login', 'login', 'refresh', 'refresh', 'refresh', 'refresh', 'race', 'race', 'logout', 'logout', 'logout all', 'password', 'replay']
const MOST_DEVICES = 4

/**
 * Somebody who uses the service and remembers what was answered. Whatever got no answer is in doubt: it happened whole or not at all,
 * which `check` finds out.
 */
export function createPerson ({ oneOf }: Random) {
  const username = `u${randomUUID()}`
  const devices: Device[] = []
  let password = newPassword()
  let doubt: Doubt | undefined = { action: 'register' }
  let acknowledged = 0

  const live = () => devices.filter(({ isOver }) => !isOver)

  function remember (tokens: Tokens, device: Device = { access: [], refresh: [], isOver: false }) {
    if (device.access.length === 0) devices.push(device)
    device.access.push(tokens.access_token)
    if (device.refresh.at(-1) !== tokens.refresh_token) device.refresh.push(tokens.refresh_token)
  }

  function end (ended: Device[]) {
    for (const device of ended) device.isOver = true
  }

  async function register ({ request }: Service) {
    remember(await taken(request('POST', '/auth/register', { body: { username, password } }), 201))
  }

  async function login ({ request }: Service) {
    remember(await taken(request('POST', '/auth/login', { body: { username, password } }), 200))
  }

  async function refresh ({ request }: Service, device: Device) {
    const presented = current(device)
    const tokens = await taken(request('POST', '/auth/refresh', { token: presented }), 200)
    assert.equal(generationOf(tokens.refresh_token), generationOf(presented) + 1, 'a session has forked')
    remember(tokens, device)
  }

  /** Two at once with one token: both get the same next one. */
  async function race ({ request }: Service, device: Device) {
    const token = current(device)
    const answers = await Promise.all([1, 2].map(() => taken(request('POST', '/auth/refresh', { token }), 200)))
    assert.equal(answers[0]!.refresh_token, answers[1]!.refresh_token, 'a session has forked')
    for (const answer of answers) remember(answer, device)
  }

  /** Presents a token that was used long ago, as a thief would: the session ends. */
  async function replay (service: Service, device: Device) {
    const [old = '', , newer] = device.refresh
    if (newer === undefined) return refresh(service, device)
    await taken(service.request('POST', '/auth/refresh', { token: old }), 401)
    end([device])
  }

  async function changePassword ({ request }: Service, device: Device, next: string) {
    const tokens = await taken(request('POST', '/auth/password', { token: device.access.at(-1), body: { current_password: password, new_password: next } }), 200)
    password = next
    end(devices)
    remember(tokens)
  }

  async function logout ({ request }: Service, device: Device) {
    await taken(request('POST', '/auth/logout', { token: device.access.at(-1) }), 204)
    end([device])
  }

  async function logoutAll ({ request }: Service, device: Device) {
    await taken(request('POST', '/auth/logout/all', { token: device.access.at(-1) }), 204)
    end(devices)
  }

  async function act (service: Service, { action, device, next = '' }: Doubt) {
    if (action === 'register') return register(service)
    if (action === 'login' || !device) return login(service)
    if (action === 'refresh') return refresh(service, device)
    if (action === 'race') return race(service, device)
    if (action === 'replay') return replay(service, device)
    if (action === 'logout') return logout(service, device)
    return action === 'password' ? changePassword(service, device, next) : logoutAll(service, device)
  }

  /** Whether this session lives; both its tokens, and all that came before, must agree. */
  async function lives ({ request }: Service, device: Device): Promise<boolean> {
    const verified = await Promise.all(device.access.map(async (token) => (await drained(request('GET', '/verify', { token }))).status))
    const presented = current(device)
    const refreshed = await request('POST', '/auth/refresh', { token: presented })
    const tokens = await refreshed.json() as Tokens // or a problem, which is not looked at
    assert.deepEqual(verified, verified.map(() => refreshed.status), `the tokens of a session of ${username} do not agree`)
    if (refreshed.status !== 200) return false

    assert.equal(generationOf(tokens.refresh_token), generationOf(presented) + 1, 'a session has forked')
    const again = await taken(request('POST', '/auth/refresh', { token: presented }), 200)
    assert.equal(again.refresh_token, tokens.refresh_token, 'a session has forked')
    remember(tokens, device)
    return true
  }

  /** Finds out which password is good when a change of it is in doubt. */
  async function settlePassword ({ request }: Service) {
    const { next } = doubt ?? {}
    if (next === undefined) return
    const { status } = await drained(request('POST', '/auth/login', { body: { username, password: next } }))
    const old = await drained(request('POST', '/auth/login', { body: { username, password } }))
    assert.deepEqual([status, old.status].sort(), [200, 401], `not exactly one password of ${username} is good`)
    if (status !== 200) return
    password = next
    end(devices)
  }

  async function settleRegistration (service: Service) {
    if (doubt?.action !== 'register') return
    const { status } = await drained(service.request('POST', '/auth/login', { body: { username, password } }))
    if (status !== 200) await register(service) // nothing of it is there: the name is free
  }

  async function settleSessions (service: Service) {
    const mayBeOver = doubt?.action === 'logout' || doubt?.action === 'replay' ? [doubt.device] : doubt?.action === 'logout all' ? live() : []
    const found = new Map(await Promise.all(devices.map(async (device) => [device, await lives(service, device)] as const)))

    for (const [device, isAlive] of found) {
      if (device.isOver) assert(!isAlive, `a session of ${username} that was ended is back`)
      else if (!mayBeOver.includes(device)) assert(isAlive, `a session of ${username} is lost`)
    }
    if (doubt?.action === 'logout all') assert.equal(new Set(live().map((device) => found.get(device))).size, Math.min(1, live().length), 'half of a logout happened')
    end(devices.filter((device) => !found.get(device)))
  }

  return {
    acknowledged: () => acknowledged,

    /** Does one thing after the other, until one gets no answer. */
    async live (service: Service) {
      for (;;) {
        const device = live().length > 0 ? oneOf(live()) : undefined
        const action = live().length >= MOST_DEVICES ? 'logout' : oneOf(ACTIONS)
        doubt ??= { action, ...device && { device }, ...action === 'password' && device && { next: newPassword() } }
        try {
          await act(service, doubt)
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error
          return // no answer
        }
        doubt = undefined
        acknowledged++
      }
    },

    /** Asserts that all that was answered holds, and that what was not happened whole or not at all. */
    async check (service: Service) {
      await settleRegistration(service)
      await settlePassword(service)
      await settleSessions(service)
      doubt = undefined
      await login(service)
    }
  }
}

export type Person = ReturnType<typeof createPerson>

interface Tokens { access_token: string, refresh_token: string }

/** The body of an answer that must have this status. */
async function taken (answer: Promise<Response>, status: number): Promise<Tokens> {
  const response = await answer
  const body = await response.text()
  assert.equal(response.status, status, body)
  return JSON.parse(body || '{}')
}

async function drained (answer: Promise<Response>): Promise<Response> {
  const response = await answer
  await response.arrayBuffer()
  return response
}

function current ({ refresh }: Device): string {
  return refresh.at(-1)! // a session begins with one
}

function generationOf (refreshToken: string): number {
  return Buffer.from(refreshToken.slice('prt_'.length), 'base64url').readUInt32BE(16)
}

function newPassword (): string {
  return `umbrella ${randomUUID()}`
}
