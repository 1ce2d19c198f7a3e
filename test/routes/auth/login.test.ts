import Database from 'better-sqlite3'
import t from 'tap'
import { NO_HOLD, PASSWORD, assertList, assertRefused, bearer, build, buildShared, createClock, createLog, databaseUrl, signIn, signUp, stored } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'
import type { User } from '../../../plugins/core/database.ts'

const CHANGED_PARAMETERS = { ARGON2_MEMORY_KIB: '2048', ARGON2_TIME_COST: '2' }

const server = await buildShared(t, { now: createClock().now })

t.test('POST /auth/login', async (t) => {
  t.test('starts another session', async (t) => {
    const phone = await signUp(server, { username: 'ada' })

    const response = await login(server, { username: 'ada', password: PASSWORD })

    t.equal(response.statusCode, 200)
    t.equal(response.headers['cache-control'], 'no-store')
    const { access_token: accessToken, refresh_token: refreshToken, ...rest } = response.json()
    t.strictSame(rest, { token_type: 'Bearer', expires_in: 15 * 60, refresh_token_expires_in: 30 * 24 * 3600, user: phone.user })
    t.not(refreshToken, phone.refresh_token)
    t.equal((await server.inject({ url: '/secret', headers: bearer(accessToken) })).statusCode, 200)
    t.equal((await phone.inject({ url: '/secret' })).statusCode, 200)
    t.equal((await stored(server)).sessions.length, 2)
  })

  t.test('knows a person by either name, in any spelling', async (t) => {
    const { user: { id } } = await signUp(server, { username: 'Ada', email: 'ada@example.com' })
    const spellings = [
      { username: 'Ada' }, { username: 'aDA' }, { username: 'ａｄａ' }, { username: 'ada@example.com' },
      { email: 'ada@example.com' }, { email: ' ADA@example.COM ' }
    ]

    for (const names of spellings) {
      const response = await login(server, { ...names, password: PASSWORD })

      t.equal(response.json().user.id, id, JSON.stringify(names))
    }
  })

  t.test('takes a form as well as JSON', async (t) => {
    await signUp(server, { username: 'ada' })

    const response = await server.inject({
      method: 'POST',
      url: '/auth/login',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ username: 'ada', password: PASSWORD }).toString()
    })

    t.equal(response.statusCode, 200)
  })

  t.test('gives the same answer to an unknown name and to a wrong password', async (t) => {
    await signUp(server, { username: 'ada', email: 'ada@example.com' })

    const [wrongPassword, ...others] = await Promise.all([
      login(server, { username: 'ada', password: 'not the password' }),
      login(server, { username: 'grace', password: PASSWORD }),
      login(server, { email: 'ada@example.com', password: 'not the password' }),
      login(server, { email: 'grace@example.com', password: PASSWORD })
    ])

    assertRefused(t, wrongPassword, 401, 'invalid_credentials')
    t.equal(wrongPassword.headers['www-authenticate'], 'Bearer')
    for (const other of others) t.strictSame(visible(other), visible(wrongPassword))
  })

  t.test('refuses a password that differs in letter case or a space', async (t) => {
    await signUp(server, { username: 'ada' })

    for (const password of [PASSWORD.toUpperCase(), `${PASSWORD} `, ` ${PASSWORD}`]) {
      assertRefused(t, await login(server, { username: 'ada', password }), 401, 'invalid_credentials')
    }
  })

  t.test('says that an account is disabled only after the right password', async (t) => {
    const { user } = await signUp(server, { username: 'ada' })
    await server.db.users.update(user.id, { disabled: true }, NO_HOLD)

    assertRefused(t, await login(server, { username: 'ada', password: 'not the password' }), 401, 'invalid_credentials')
    assertRefused(t, await login(server, { username: 'ada', password: PASSWORD }), 403, 'account_disabled')
    t.strictSame((await stored(server)).sessions, [])
  })

  t.test('asks for one name, not two and not none', async (t) => {
    await signUp(server, { username: 'ada', email: 'ada@example.com' })

    assertRefused(t, await login(server, { username: 'ada', email: 'ada@example.com', password: PASSWORD }), 400, 'validation_failed')
    assertRefused(t, await login(server, { password: PASSWORD }), 400, 'validation_failed')
  })

  t.test('takes a password in either Unicode form', async (t) => {
    const password = 'mañana más café'
    await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', password: password.normalize('NFC') } })

    t.not(password.normalize('NFC'), password.normalize('NFD'))
    t.equal((await login(server, { username: 'ada', password: password.normalize('NFC') })).statusCode, 200)
    t.equal((await login(server, { username: 'ada', password: password.normalize('NFD') })).statusCode, 200)
  })

  t.test('takes 256 characters of four bytes, the last of which matters, and no more', async (t) => {
    const characters = Array.from({ length: 256 }, (_, i) => String.fromCodePoint(0x1f300 + i))
    const password = characters.join('')
    await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', password } })

    t.equal(Buffer.byteLength(password), 1024)
    t.equal((await login(server, { username: 'ada', password })).statusCode, 200)
    assertRefused(t, await login(server, { username: 'ada', password: characters.with(255, '🦉').join('') }), 401, 'invalid_credentials')
    assertRefused(t, await login(server, { username: 'ada', password: characters.slice(0, 255).join('') }), 401, 'invalid_credentials')
    const tooLong = await login(server, { username: 'ada', password: `${password}🦉` })
    assertRefused(t, tooLong, 400, 'validation_failed')
    assertList(t, tooLong.json().errors, [{ pointer: '/password' }])
  })

  const changes: Array<[what: string, change: (server: FastifyInstance, user: User) => Promise<unknown>]> = [
    ['disabled', ({ db }, { id }) => db.users.update(id, { disabled: true }, NO_HOLD)],
    ['deleted', ({ db }, { id }) => db.users.remove(id, NO_HOLD)],
    ['given other roles', ({ db }, { id }) => db.users.update(id, { roles: ['editor'] }, NO_HOLD)],
    ['given another password', ({ db }, { id, passwordHash }) => db.users.setPassword(id, passwordHash, Date.now() + 1)]
  ]
  for (const [what, change] of changes) {
    t.test(`starts no session when the account is ${what} while its password is checked`, async (t) => {
      await signUp(server, { username: 'ada' })
      const [user] = (await stored(server)).users
      const { verify } = server.passwords
      t.intercept(server.passwords, 'verify', {
        value: async (...args: Parameters<typeof verify>) => {
          const isRight = await verify(...args)
          await change(server, user!)
          return isRight
        }
      })

      const response = await login(server, { username: 'ada', password: PASSWORD })

      assertRefused(t, response, 401, 'invalid_credentials')
      t.strictSame((await stored(server)).sessions, [])
    })
  }

  t.test('hashes a password anew when the parameters have changed', async (t) => {
    const url = databaseUrl(t)
    const before = await build(t, { env: { DATABASE_URL: url } })
    await signUp(before, { username: 'ada' })
    const after = await build(t, { env: { DATABASE_URL: url, ...CHANGED_PARAMETERS } })

    await login(after, { username: 'ada', password: 'not the password' })
    t.match(await hashOf(after, 'ada'), /^\$argon2id\$v=19\$m=1024,t=1,p=1\$/)
    await signIn(after, 'ada')
    const rehashed = await hashOf(after, 'ada')
    await signIn(after, 'ada')

    t.match(rehashed, /^\$argon2id\$v=19\$m=2048,t=2,p=1\$/)
    t.equal(await hashOf(after, 'ada'), rehashed, 'once is enough')
  })

  t.test('signs in though the password cannot be hashed anew', async (t) => {
    const url = databaseUrl(t)
    await signUp(await build(t, { env: { DATABASE_URL: url } }), { username: 'ada' })
    const { lines, logger } = createLog((line) => { if (line.level === 40) other.exec('ROLLBACK') })
    const server = await build(t, { env: { DATABASE_URL: url, ...CHANGED_PARAMETERS }, logger })
    const other = new Database(server.db.file)
    t.teardown(() => other.close())
    other.exec('BEGIN IMMEDIATE')

    const response = await login(server, { username: 'ada', password: PASSWORD })

    t.equal(response.statusCode, 200)
    assertList(t, lines.filter(({ level }) => level === 40), [{ msg: /could not be hashed anew/, err: { code: 'database_unavailable', message: /database is locked/ } }])
    t.match(await hashOf(server, 'ada'), /m=1024,t=1/)
  })

  t.test('refuses an address that asks too often, and says when to come back', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '2/1m' } })
    await signUp(server, { username: 'ada' })

    t.match((await login(server, { username: 'ada', password: PASSWORD })).headers, { 'ratelimit-limit': '2' })
    const responses = [await login(server, { username: 'ada', password: PASSWORD }), await login(server, { username: 'ada', password: PASSWORD })]

    assertRefused(t, responses[1]!, 429, 'rate_limited')
    t.match(responses[1]!.headers['retry-after'], /^(5\d|60)$/)
  })

  t.test('refuses even the right password after too many wrong ones', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on', RATE_LIMIT_PAIR: '2/15m' }, now: createClock().now })
    await signUp(server, { username: 'ada' })
    for (let i = 0; i < 2; i++) assertRefused(t, await login(server, { username: 'ada', password: 'not the password' }), 401, 'invalid_credentials')

    const response = await login(server, { username: 'ADA', password: PASSWORD })

    assertRefused(t, response, 429, 'rate_limited')
    t.equal(response.headers['retry-after'], '1')
  })

  t.test('logs sign-ins and refusals, and no secret', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })
    const { user } = await signUp(server, { username: 'ada' })

    const { access_token: accessToken, refresh_token: refreshToken } = await signIn(server, 'ada')
    await login(server, { username: 'ada', password: 'not the password' })

    assertList(t, lines.filter(({ event }) => event), [
      { event: 'registered' },
      { level: 30, event: 'signed_in', user: user.id, ip: '127.0.0.1' },
      { level: 30, event: 'refused', code: 'invalid_credentials', route: '/auth/login' }
    ])
    const log = JSON.stringify(lines)
    for (const secret of [PASSWORD, 'not the password', accessToken, refreshToken, '$argon2']) t.notOk(log.includes(secret))
  })
})

function login (server: FastifyInstance, payload: object) {
  return server.inject({ method: 'POST', url: '/auth/login', payload })
}

/** What a caller sees of an answer, save what differs between any two. */
function visible ({ statusCode, headers: { date, 'x-request-id': id, ...headers }, body }: Awaited<ReturnType<typeof login>>) {
  return { statusCode, headers, body }
}

async function hashOf ({ accounts }: FastifyInstance, username: string) {
  return (await accounts.findByLogin(username))!.passwordHash
}
