import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { seed } from '../../bench/seed.ts'
import { PASSWORD } from '../helper.ts'
import { watch } from './bystander.ts'
import { createCrowd } from './crowd.ts'
import { startService } from './service.ts'

/** `npm run test:hostility -- logins` is about those alone. */
const ONLY = process.argv[2] ?? ''
const MOST_MEMORY_MIB = 768
const CHUNK = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`)
const GIGABYTE = 2 ** 30
const WRITERS = 8000
const LEAST_MILLISECONDS = 2000

/** The whole queue, with a hash at the lowest priority on a machine that is busy. */
const MOST_SIGN_IN_MILLISECONDS = 10_000
/** What `db/sessions.ts` and `plugins/accounts/refresh.ts` allow. */
const [MOST_SESSIONS, MOST_LIVE_TOKENS] = [100, 128]
/** Below this a machine with other work on it says nothing. */
const LEAST_BOUND_MILLISECONDS = 10

// Production's settings; the crowd comes through a gateway, so that the limits count it as people from many addresses.
const { folder, sample, refreshToken } = await seed({ users: WRITERS })
const service = await startService(folder, { ARGON2_MEMORY_KIB: '', ARGON2_TIME_COST: '', RATE_LIMIT: '', TRUST_PROXY: '127.0.0.1' })
const { access_token: token } = await (await service.request('POST', '/auth/register', { body: { username: 'bystander', password: PASSWORD } })).json() as { access_token: string }
const idle = service.memory().now

interface Tokens { access_token: string, refresh_token: string }

type Crowd = ReturnType<typeof createCrowd>

/** Lets a crowd do its worst while somebody goes on asking whether a token is good. */
async function meet (name: string, attack: (crowd: Crowd) => Promise<string>, { longest = 1000 } = {}) {
  if (!name.includes(ONLY)) return
  const crowd = createCrowd(service.address)
  const stop = await watch(service.address, token)
  const [outcome] = await Promise.all([attack(crowd), wait(LEAST_MILLISECONDS)])
  const { p50, p99, most, answers, refused } = await stop()
  crowd.leave()
  const memory = service.memory()

  console.log(`${name}\n  ${outcome}\n  others: ${answers} times /verify, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, slowest ${most.toFixed(0)} ms, ${refused} refused; memory ${memory.now} MiB, at most ${memory.most} so far`)
  assert(p99 < longest, 'others were not served')
  assert(memory.most < MOST_MEMORY_MIB, 'too much memory was used')
  assert.equal((await service.ask('GET', '/health/live')).status, 200)
}

function head (line: string, ...headers: string[]): string {
  return [`${line} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n')
}

function login (from: number): string {
  const body = JSON.stringify({ username: `nobody${from}`, password: PASSWORD })
  return head('POST /auth/login', 'Content-Type: application/json', `Content-Length: ${body.length}`, `X-Forwarded-For: 10.0.${from >> 8}.${from & 255}`) + body
}

function refresh (token: string): string {
  return head('POST /auth/refresh', `Authorization: Bearer ${token}`)
}

await meet('1,000 clients that send a header a second', async (crowd) => {
  const members = await crowd.come(1000, 'GET /secret HTTP/1.1\r\nHost: localhost\r\n')
  const seconds = await crowd.untilGone(20, () => { for (const { socket } of members) socket.write('x: y\r\n') })
  return `${crowd.statuses()}; the last connection was closed after ${seconds} s`
})

await meet('1,000 clients that send a body, a byte a second', async (crowd) => {
  const members = await crowd.come(1000, head('POST /auth/login', 'Content-Type: application/json', 'Content-Length: 1000'))
  const seconds = await crowd.untilGone(30, () => { for (const { socket } of members) socket.write(' ') })
  return `${crowd.statuses()}; the last connection was closed after ${seconds} s`
})

await meet('1,000 clients that ask for 9 large answers each and read none', async (crowd) => {
  await crowd.come(1000, head('GET /docs/static/swagger-ui-bundle.js').repeat(9), { reads: false })
  await wait(3000)
  return `memory meanwhile ${service.memory().now} MiB`
}, { longest: 2000 })

await meet('90 clients that ask for a large answer again and again, and read none', async (crowd) => {
  const before = service.openFiles()
  const members = await crowd.come(90, '', { reads: false })
  for (let i = 0; i < 6; i++) { // the system takes the first of them
    for (const { socket } of members) socket.write(head('GET /docs/static/swagger-ui-bundle.js'))
    await wait(500)
  }
  const meanwhile = service.openFiles()
  const startedAt = performance.now()
  while (service.openFiles() > before + 5) await wait(1000)
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  assert(seconds < 70, 'who does not read is kept for too long')
  return `${before} open files and connections before, ${meanwhile} meanwhile; all are closed after ${seconds} s`
})

await meet('1,000 clients that send 1,500 requests at once and read no answer', async (crowd) => {
  await crowd.come(1000, head('GET /docs/json').repeat(1500), { reads: false })
  await wait(3000)
  return `memory meanwhile ${service.memory().now} MiB`
}, { longest: 2000 })

await meet('200 clients with 1 MB of headers, and 200 with 4,000 headers', async (crowd) => {
  await crowd.come(200, `GET /secret HTTP/1.1\r\nHost: localhost\r\nCookie: ${'x'.repeat(1 << 20)}\r\n\r\n`)
  await crowd.come(200, head('GET /secret', ...Array<string>(4000).fill('a: b')))
  await crowd.untilGone(20)
  return crowd.statuses()
})

await meet('bodies of 1 GB: 4 with their length, 4 in chunks', async (crowd) => {
  const declared = await crowd.come(4, head('POST /auth/login', 'Content-Type: application/json', `Content-Length: ${GIGABYTE}`))
  const chunked = await crowd.come(4, head('POST /auth/login', 'Content-Type: application/json', 'Transfer-Encoding: chunked'))
  const sent = await Promise.all([...declared, ...chunked].map((member) => member.pour(CHUNK, GIGABYTE)))
  await service.says('"body_too_large"', sent.length)
  return `${sent.length} × 413, or so the log says; the connection was closed after ${(Math.max(...sent) / 2 ** 20).toFixed(1)} MB at the latest`
})

await meet('200 logins at once', async (crowd) => {
  const members = await crowd.come(200)
  const answers = await Promise.all(members.map((member, i) => member.ask(login(i))))
  const refused = answers.filter(({ status }) => status === 503)
  assert(refused.length > 0 && refused.every(({ text }) => /\r\nretry-after: 1\r\n/i.test(text)), 'some should be refused with Retry-After')
  const slowest = (of: typeof answers) => Math.max(...of.map(({ milliseconds }) => milliseconds)).toFixed(0)
  return `${crowd.statuses()}; all 503 have Retry-After, the slowest came after ${slowest(refused)} ms, the slowest login after ${slowest(answers)} ms`
})

await meet('5,000 clients that do nothing but present forged tokens, for 5 s', async (crowd) => {
  const content = token.slice(0, token.lastIndexOf('.'))
  const forgery = () => head('GET /verify', `Authorization: Bearer ${content}.${randomBytes(64).toString('base64url')}`)
  const members = await crowd.come(5000, forgery())
  const endsAt = performance.now() + 5000
  const latencies = await Promise.all(members.map(async (member) => {
    let slowest = 0
    while (performance.now() < endsAt) {
      const { status, text, milliseconds } = await member.ask(forgery())
      if (status === 408) break // hardly one in ten thousand is not heard within five seconds
      assert(status === 401 || /^HTTP\/1\.1 503[^]*\r\nretry-after: 1\r\n/i.test(text), text)
      slowest = Math.max(slowest, milliseconds)
    }
    return slowest
  }))
  return `${crowd.statuses()}; the slowest answer came after ${Math.max(...latencies).toFixed(0)} ms`
}, { longest: 2000 })

await meet('12,000 connections, all idle', async (crowd) => {
  await crowd.come(12_000)
  const { now } = service.memory()
  const newcomer = await service.request('GET', '/health/live') // comes back until it is let in
  const seconds = await crowd.untilGone(30)
  return `${crowd.statuses()}; ${now} MiB meanwhile; a newcomer was let in (${newcomer.status}); the last connection was closed after ${seconds} s`
}, { longest: 2000 })

await meet('10,200 connections of one address, each with half a body', async (crowd) => {
  const half = head('POST /auth/login', 'Content-Type: application/json', 'Content-Length: 100') + '{'
  await crowd.come(10_200, half, { from: '127.0.0.2' })
  const newcomers = await crowd.come(100, '', { from: '127.0.0.3' })
  const answers = await Promise.all(newcomers.map((member) => member.ask(head('GET /health/live'))))
  assert(answers.every(({ status }) => status === 200), 'newcomers were kept out')
  return `${crowd.statuses()}; all ${answers.length} newcomers got in`
}, { longest: 2000 })

await meet('one /48 network that fills the queue for passwords, for 5 s', async (crowd) => {
  let count = 0 // nobody is tried twice: the limits on accounts are not what this is about
  const loginFrom = (address: string) => login(0).replace('10.0.0.0', address).replace('nobody0', `x${(++count).toString(36).padStart(6, '0')}`)
  const flood = await crowd.come(300)
  const others = await crowd.come(10)
  const endsAt = performance.now() + 5000
  const flooding = Promise.all(flood.map(async (member, i) => {
    while (performance.now() < endsAt) {
      const { status } = await member.ask(loginFrom(`2001:db8:1:${(i % 256).toString(16)}00::1`))
      if (status !== 401) await wait(20)
    }
  }))
  const latencies: number[] = []
  const signing = Promise.all(others.map(async (member, i) => {
    for (let attempt = 0; performance.now() < endsAt; attempt++) {
      const { status, milliseconds } = await member.ask(loginFrom(`198.51.${attempt}.${i}`))
      assert.equal(status, 401, 'somebody else was kept out')
      latencies.push(milliseconds)
    }
  }))
  await Promise.all([flooding, signing])
  const slowest = latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)]!
  assert(slowest < MOST_SIGN_IN_MILLISECONDS, `others had to wait: p99 ${slowest.toFixed(0)} ms`)
  return `${crowd.statuses()}; ${latencies.length} sign-ins of others, p99 ${slowest.toFixed(0)} ms`
})

await meet('8,000 clients that do nothing but refresh, for 5 s', async (crowd) => {
  const members = await crowd.come(WRITERS)
  const endsAt = performance.now() + 5000
  const latencies = await Promise.all(members.map(async (member, i) => {
    let slowest = 0
    let generation = 0
    while (performance.now() < endsAt) {
      const { status, text, milliseconds } = await member.ask(refresh(refreshToken(sample[i]!.sid, generation)))
      assert(status === 200 || /^HTTP\/1\.1 503[^]*\r\nretry-after: 1\r\n/i.test(text), text)
      if (status === 200) generation++
      slowest = Math.max(slowest, milliseconds)
    }
    return slowest
  }))
  return `${crowd.statuses()}; the slowest answer came after ${Math.max(...latencies).toFixed(0)} ms`
}, { longest: 5000 })

// One account that has done its worst, within its limits: as many sessions as there may be, each with as many tokens as there may be.
if ('one account'.includes(ONLY) || ONLY.startsWith('one account')) {
  const owner = { username: 'glutton', password: PASSWORD }
  const signedIn = await (await service.request('POST', '/auth/register', { body: owner })).json() as Tokens
  for (let i = 1; i < MOST_SESSIONS; i++) {
    const { refresh_token: first } = await (await service.request('POST', '/auth/login', { body: owner })).json() as Tokens
    for (let token = first, generation = 1; generation < MOST_LIVE_TOKENS; generation++) {
      ({ refresh_token: token } = await (await service.request('POST', '/auth/refresh', { body: { refresh_token: token } })).json() as Tokens)
    }
  }
  const mine = (line: string) => head(line, `Authorization: Bearer ${signedIn.access_token}`)
  const idleStop = await watch(service.address, token)
  await wait(LEAST_MILLISECONDS)
  const longest = Math.max(2 * (await idleStop()).p99, LEAST_BOUND_MILLISECONDS)

  await meet('one account that lists its sessions all the time', async (crowd) => {
    const [member] = await crowd.come(1)
    const endsAt = performance.now() + 3000
    while (performance.now() < endsAt) await member!.ask(mine('GET /auth/sessions'))
    return crowd.statuses()
  }, { longest })

  await meet('one account that signs out everywhere, and a status list with all of its bits', async (crowd) => {
    const [member] = await crowd.come(1)
    const { milliseconds } = await member!.ask(mine('POST /auth/logout/all'))
    const { status_lists: [list] } = await (await service.ask('GET', '/status')).json() as { status_lists: string[] }
    const path = new URL(list!).pathname
    const etag = /\r\netag: (.*)\r\n/i.exec((await member!.ask(head(`HEAD ${path}`))).text)![1]!
    const endsAt = performance.now() + 3000
    while (performance.now() < endsAt) await member!.ask(head(`GET ${path}`, `If-None-Match: ${etag}`))
    return `${crowd.statuses()}; signed out in ${milliseconds.toFixed(0)} ms`
  }, { longest })
}

console.log(`idle: ${idle} MiB; at most ${service.memory().most} MiB, which may be ${MOST_MEMORY_MIB}`)
assert.equal(await service.ends('SIGTERM'), 0)
process.exit()
