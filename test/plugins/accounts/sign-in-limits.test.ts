import { rename } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { NO_HOLD, PASSWORD, assertList, assertRefused, bearer, build, buildShared, createClock, createLog, databaseUrl, signUp } from '../../helper.ts'
import type { FastifyRequest } from 'fastify'
import type { Test } from 'tap'

const WRONG = 'another password'
const SETTINGS = { DOCS: 'off', RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '1000/1m', RATE_LIMIT_GUESSES: '1000/1m', RATE_LIMIT_ACCOUNT: '1000/1m', RATE_LIMIT_PAIR: '1000/1m' }
const STRICT = { ...SETTINGS, RATE_LIMIT_GUESSES: '6/5m', RATE_LIMIT_ACCOUNT: '4/15m', RATE_LIMIT_PAIR: '2/15m' }

const clock = createClock()
const server = await buildShared(t, { env: STRICT, now: clock.now })

let count = 0

/** An address that nobody has had before. */
function newAddress (): string {
  count++
  return `198.51.${count >> 8}.${count & 255}`
}

/** Somebody who has registered, from 127.0.0.1, and whose password nobody has tried yet. */
async function newcomer (service = server) {
  const names = { username: `ada${++count}` }
  return { names, ...await signUp(service, names) }
}

type Names = { username: string } | { email: string }

function login (names: Names, password: string, from = newAddress(), service = server) {
  return service.inject({ method: 'POST', url: '/auth/login', remoteAddress: from, payload: { ...names, password } })
}

async function statusOf (...args: Parameters<typeof login>) {
  return (await login(...args)).statusCode
}

/** The seconds of `Retry-After` for somebody who always waits that long, one wrong password after the other. */
async function waits (times: number, attempt: () => ReturnType<typeof login>): Promise<number[]> {
  const seconds: number[] = []
  for (let i = 0; i < times; i++) {
    await attempt()
    const { headers } = await attempt()
    seconds.push(Number(headers['retry-after'] ?? 0))
    clock.advance(seconds.at(-1)!)
  }
  return seconds
}

/** Strangers, each from an address of their own, try passwords until the account takes no more. */
async function close (names: Names, service = server) {
  for (let i = 0; i < 4; i++) await login(names, WRONG, newAddress(), service)
  const { statusCode } = await login(names, PASSWORD, newAddress(), service)
  if (statusCode !== 429) throw new Error(`${statusCode} instead of 429`)
}

t.test('A wrong password', async (t) => {
  t.test('makes the next one wait, twice as long each time, and says for how long', async (t) => {
    const [from, names] = [newAddress(), { username: 'nobody.1' }]
    await login(names, WRONG, from)
    await login(names, WRONG, from)
    const refused = await login(names, WRONG, from)

    assertRefused(t, refused, 429, 'rate_limited')
    t.match(refused.headers, { 'ratelimit-limit': '2', 'ratelimit-remaining': '0', 'ratelimit-reset': '1', 'retry-after': '1' })
    clock.advance(1)
    t.same(await waits(10, () => login(names, WRONG, from)), [2, 4, 8, 16, 32, 64, 128, 256, 512, 512], 'one was forgotten meanwhile')
    t.same(await waits(2, () => login(names, WRONG, from)), [900, 900], 'no longer than that')
  })

  t.test('counts once, also when the right one comes too early', async (t) => {
    const { names } = await newcomer()
    const from = newAddress()
    for (let i = 0; i < 2; i++) t.equal(await statusOf(names, WRONG, from), 401)

    for (let i = 0; i < 3; i++) t.equal(await statusOf(names, PASSWORD, from), 429)
    clock.advance(0.999)
    t.equal(await statusOf(names, PASSWORD, from), 429)
    clock.advance(0.001)
    t.equal(await statusOf(names, PASSWORD, from), 200)
  })

  t.test('is forgotten, one at a time', async (t) => {
    const [from, names] = [newAddress(), { username: 'nobody.2' }]
    const attempt = () => statusOf(names, WRONG, from)
    t.same([await attempt(), await attempt(), await attempt()], [401, 401, 429])

    clock.advance(900)
    t.same([await attempt(), await attempt()], [401, 429])
    clock.advance(1800)
    t.same([await attempt(), await attempt(), await attempt()], [401, 401, 429])
  })

  t.test('counts for the account, wherever it comes from, however its name is spelled, and whether or not somebody has it', async (t) => {
    await signUp(server, { username: 'bea', email: 'bea@example.com' })

    for (const name of ['bea', 'gus']) {
      for (const username of [name, name.toUpperCase(), name.replace(/^b/, '\uff22').replace(/^g/, '\uff27'), `${name[0]}${name.slice(1).toUpperCase()}`]) t.equal(await statusOf({ username }, WRONG), 401)
      t.equal(await statusOf({ username: name }, PASSWORD), 429)
      const email = `${name}@example.com`
      for (const names of [{ email }, { email: ` ${email}` }, { email: email.toUpperCase() }, { username: email }]) t.equal(await statusOf(names, WRONG), 401)
      t.equal(await statusOf({ email }, PASSWORD), 429)
    }
    t.equal(await statusOf({ username: 'beatrix' }, WRONG), 401)
  })

  t.test('counts for the address, whatever accounts it tries', async (t) => {
    const from = '2001:db8:0:1::1'
    for (let i = 0; i < 6; i++) t.equal(await statusOf({ username: `nobody.3.${i}` }, WRONG, from), 401)

    t.match((await login({ username: 'nobody.4' }, WRONG, '2001:db8:0:1:ffff::2')).headers, { 'ratelimit-limit': '6', 'retry-after': '1' })
    t.equal(await statusOf({ username: 'nobody.4' }, WRONG, '2001:db8:0:2::1'), 401)
  })

  t.test('counts before it is checked: of many at once no more are admitted than of one after the other', async (t) => {
    const attempts = Array.from({ length: 50 }, () => statusOf({ username: 'nobody.5' }, WRONG))

    t.equal((await Promise.all(attempts)).filter((status) => status === 401).length, 4)
  })

  t.test('does not count when it was not checked, because too many others wait', async (t) => {
    const service = await build(t, { env: { ...STRICT, ARGON2_THREADS: '1', ARGON2_QUEUE: '1', RATE_LIMIT_ACCOUNT: '8/15m' }, now: clock.now })
    const attempt = () => statusOf({ username: 'nobody' }, WRONG, newAddress(), service)
    const hashes = Promise.allSettled([1, 2, 3].map(() => service.passwords.hash(PASSWORD)))

    await t.rejects(service.credentials.verify('nobody', WRONG, { ip: newAddress() } as FastifyRequest), { code: 'busy' }) // it reads nothing else of a request
    t.equal(await service.db.signInLimits.prune(Number.MAX_SAFE_INTEGER), 0, 'nothing was written')
    await hashes
    const statuses = await Promise.all(Array.from({ length: 8 }, attempt))
    const checked = statuses.filter((status) => status === 401).length
    t.ok(statuses.includes(503))
    for (let i = checked; i < 8; i++) t.equal(await attempt(), 401)

    t.equal(await attempt(), 429)
  })
})

t.test('A right password', async (t) => {
  t.test('does not count, and forgives no other attempt', async (t) => {
    const { names } = await newcomer()
    const from = newAddress()
    for (let i = 0; i < 8; i++) t.equal(await statusOf(names, PASSWORD, from), 200)
    for (let i = 0; i < 2; i++) t.equal(await statusOf(names, WRONG, from), 401)
    clock.advance(1)
    for (let i = 0; i < 3; i++) t.equal(await statusOf(names, PASSWORD, from), 200)

    t.same(await waits(1, () => login(names, WRONG, from)), [2])
  })

  t.test('of a disabled account does not count either', async (t) => {
    const { names, user } = await newcomer()
    await server.db.users.update(user.id, { disabled: true }, NO_HOLD)
    const from = newAddress()

    for (let i = 0; i < 3; i++) t.equal(await statusOf(names, PASSWORD, from), 403)
  })
})

t.test('An address that has signed in to an account', async (t) => {
  t.test('is not locked out by the attempts of strangers', async (t) => {
    const { names } = await newcomer()
    const [home, elsewhere] = [newAddress(), newAddress()]
    await login(names, PASSWORD, home)

    await close(names)

    t.equal(await statusOf(names, PASSWORD, home), 200)
    t.equal(await statusOf(names, PASSWORD, elsewhere), 429)
  })

  t.test('is not locked out by a stranger at the same address who tries other accounts', async (t) => {
    const { names } = await newcomer()
    const home = newAddress()
    await login(names, PASSWORD, home)

    for (let i = 0; i < 6; i++) await login({ username: `nobody.6.${i}` }, WRONG, home)

    t.equal(await statusOf({ username: 'nobody.7' }, WRONG, home), 429)
    t.equal(await statusOf(names, PASSWORD, home), 200)
  })

  t.test('is limited by its own attempts, and by no others', async (t) => {
    const { names } = await newcomer()
    const home = newAddress()
    await login(names, PASSWORD, home)

    t.same([await statusOf(names, WRONG, home), await statusOf(names, WRONG, home)], [401, 401])
    t.equal(await statusOf(names, PASSWORD, home), 429)
    for (let i = 0; i < 4; i++) t.equal(await statusOf(names, WRONG), 401, 'strangers have all of their attempts')
  })

  t.test('is the one that registered it, too, under each of its names', async (t) => {
    await signUp(server, { username: 'cleo', email: 'cleo@example.com' })
    await close({ username: 'cleo' })
    await close({ email: 'cleo@example.com' })

    t.equal(await statusOf({ username: 'cleo' }, PASSWORD, '127.0.0.1'), 200)
    t.equal(await statusOf({ email: 'Cleo@Example.com' }, PASSWORD, '127.0.0.1'), 200)
  })

  t.test('is known after the account has another name', async (t) => {
    const { names, inject } = await newcomer()
    const home = newAddress()
    await login(names, PASSWORD, home)
    await inject({ method: 'PATCH', url: '/auth/me', payload: { username: 'renamed', password: PASSWORD } })

    await close({ username: 'renamed' })

    t.equal(await statusOf({ username: 'renamed' }, PASSWORD, home), 200)
  })

  t.test('is a stranger to the next account of that name', async (t) => {
    const service = await build(t, { env: { ...STRICT, NAME_HOLD: '0s' }, now: clock.now })
    const first = await newcomer(service)
    const from = newAddress()
    await login(first.names, PASSWORD, from, service)
    await first.inject({ method: 'DELETE', url: '/auth/me', payload: { password: PASSWORD } })
    await service.accounts.create({ ...first.names, password: PASSWORD }, [])

    await close(first.names, service)

    t.equal(await statusOf(first.names, PASSWORD, from, service), 429)
  })

  t.test('is not locked out of what asks for the password, by a thief of an access token', async (t) => {
    const { names, access_token: stolen } = await newcomer()
    const home = newAddress()
    await login(names, PASSWORD, home)
    const change = (from: string, current: string) => server.inject({
      method: 'POST',
      url: '/auth/password',
      remoteAddress: from,
      headers: bearer(stolen),
      payload: { current_password: current, new_password: 'eight purple elephants' }
    })
    for (let i = 0; i < 8; i++) await change(newAddress(), WRONG)

    t.equal((await change(newAddress(), PASSWORD)).statusCode, 429)
    t.equal((await change(home, PASSWORD)).statusCode, 200)
  })

  t.test('is a stranger again after 90 days', async (t) => {
    const { names } = await newcomer()
    clock.advance(90 * 86_400)
    await close(names)

    t.equal(await statusOf(names, PASSWORD, '127.0.0.1'), 429)
  })
})

t.test('Who has a session', async (t) => {
  const remove = (person: Awaited<ReturnType<typeof signUp>>, password: string) => person.inject({ method: 'DELETE', url: '/auth/me', payload: { password } })

  t.test('is not locked out by strangers, who have none', async (t) => {
    const dora = await newcomer()
    await close(dora.names)

    t.equal((await remove(dora, PASSWORD)).statusCode, 204)
  })

  t.test('has a limit too, which locks nobody out of the session', async (t) => {
    const emma = await newcomer()
    for (let i = 0; i < 2; i++) assertRefused(t, await remove(emma, WRONG), 403, 'wrong_password')

    assertRefused(t, await remove(emma, PASSWORD), 429, 'rate_limited')
    t.equal((await emma.inject({ url: '/secret' })).statusCode, 200)
  })
})

t.test('What strangers see', async (t) => {
  t.test('does not tell whether there is an account, also when it is disabled, also beyond the limits', async (t) => {
    const [enabled, { names, user }] = [await newcomer(), await newcomer()]
    await server.db.users.update(user.id, { disabled: true }, NO_HOLD)
    const attempt = async (names: Names, from: string) => {
      const { statusCode, headers: { date, 'x-request-id': id, ...headers }, body } = await login(names, WRONG, from)
      return { statusCode, headers, body }
    }
    const story = async (names: Names) => {
      const from = newAddress()
      const seen = []
      for (let i = 0; i < 4; i++) seen.push(await attempt(names, from))
      for (let i = 0; i < 4; i++) seen.push(await attempt(names, newAddress()))
      return seen
    }

    const [known, disabled, unknown] = [await story(enabled.names), await story(names), await story({ username: 'nobody.8' })]

    t.same(unknown, known)
    t.same(disabled, known)
    t.same(known.map(({ statusCode }) => statusCode), [401, 401, 429, 429, 401, 401, 429, 429])
  })

  t.test('does not tell that two names are of one account', async (t) => {
    await signUp(server, { username: 'dora', email: 'dora@example.com' })
    await close({ username: 'dora' })

    t.equal(await statusOf({ email: 'dora@example.com' }, WRONG), 401)
  })
})

t.test('The count', async (t) => {
  const env = { ...STRICT, RATE_LIMIT_ADDRESS: '5/1m', DATABASE_URL: databaseUrl(t) }
  const services = [await build(t, { env, now: clock.now }), await build(t, { env, now: clock.now })]
  const [first] = services
  const attempt = (username: string, from: string, i = 0) => login({ username }, WRONG, from, services[i % 2])
  const { names } = await newcomer(first)

  t.test('is one for all processes: many attempts at once on two services get the limit of one', async (t) => {
    const attempts = await Promise.all(Array.from({ length: 40 }, (_, i) => attempt('nobody', newAddress(), i)))
    const requests = await Promise.all(Array.from({ length: 20 }, (_, i) => attempt(`nobody.${i % 5}`, '192.0.2.2', i)))

    t.equal(attempts.filter(({ statusCode }) => statusCode === 401).length, 4)
    t.equal(requests.filter(({ statusCode }) => statusCode === 401).length, 5)
  })

  t.test('stores only hashes of names and addresses', async (t) => {
    const client = new Client(first!.db.file!)
    t.teardown(() => client.close())

    for (const table of ['guesses', 'known_pairs', 'request_counts']) {
      const keys = client.prepare<[], string>(`select key from ${table}`).pluck().all()
      t.ok(keys.length > 0, table)
      for (const key of keys) t.match(key, /^[\w-]{43}$/, table)
    }
  })

  t.test('outlives a restart, and so do the known addresses', async (t) => {
    await close(names, first)
    for (const service of services) await service.close()

    const after = await build(t, { env, now: clock.now })

    t.equal(await statusOf(names, PASSWORD, newAddress(), after), 429)
    t.equal(await statusOf(names, PASSWORD, '127.0.0.1', after), 200)
    t.match((await login(names, WRONG, '192.0.2.2', after)).headers, { 'ratelimit-limit': '5', 'retry-after': '60' })
  })
})

t.test('When the database cannot be written', async (t) => {
  const { lines, logger } = createLog()
  const service = await build(t, { env: { ...STRICT, DATABASE_URL: databaseUrl(t) }, logger })
  const { names } = await newcomer(service)
  const file = service.db.file!
  const away = () => rename(file, `${file}.away`)
  const back = () => rename(`${file}.away`, file)

  t.test('no password is checked, and sign-ins work again afterwards', async (t) => {
    await away()
    const checks = t.capture(service.passwords, 'verify', service.passwords.verify)

    assertRefused(t, await login(names, PASSWORD, newAddress(), service), 503, 'database_unavailable')
    t.equal(checks().length, 0)
    await back()
    t.equal(await statusOf(names, PASSWORD, newAddress(), service), 200)
  })

  t.test('a right password that was checked just before counts as wrong, and a warning is logged', async (t) => {
    const { verify } = service.passwords
    t.intercept(service.passwords, 'verify', {
      async value (...args: Parameters<typeof verify>) {
        await away()
        return verify(...args)
      }
    })

    assertRefused(t, await login(names, PASSWORD, newAddress(), service), 503, 'database_unavailable')
    await setImmediate()
    assertList(t, lines.filter(({ level }) => level === 40), [{ err: { code: 'database_unavailable', message: /was moved or deleted/ }, msg: /counts as wrong/ }])
  })
})

t.test('A clock that is set', async (t) => {
  async function prepare (t: Test) {
    const clock = createClock()
    const settings = { env: { ...STRICT, DATABASE_URL: databaseUrl(t) }, ...clock }
    const service = await build(t, settings)
    return { clock, service, another: () => build(t, settings) }
  }

  t.test('ahead does not let an attacker go on', async (t) => {
    const { clock, service } = await prepare(t)
    const { names } = await newcomer(service)
    await close(names, service)

    clock.set(86_400)
    t.equal(await statusOf(names, WRONG, newAddress(), service), 429)
    clock.set(-86_400)
    t.equal(await statusOf(names, WRONG, newAddress(), service), 429)
  })

  t.test('back does not keep the owner out, also not over a restart', async (t) => {
    const { clock, service, another } = await prepare(t)
    const { names } = await newcomer(service)
    await close(names, service)

    clock.set(-86_400)
    clock.advance(5)
    t.equal(await statusOf(names, PASSWORD, newAddress(), service), 200)
    await close(names, service)
    await service.close()
    clock.set(-86_400)
    t.equal(await statusOf(names, PASSWORD, newAddress(), await another()), 200)
  })
})

t.test('Addresses of one network', async (t) => {
  t.test('have four times what a /64 has as a /56, and as much again as a /48', async (t) => {
    const service = await build(t, { env: { ...SETTINGS, RATE_LIMIT_GUESSES: '1/5m' } })
    const admitted = async (addressOf: (i: number) => string) => {
      for (let i = 1; ; i++) if (await statusOf({ username: `nobody${++count}` }, WRONG, addressOf(i), service) === 429) return i - 1
    }

    t.equal(await admitted((i) => `2001:db8:1:1::${i}`), 1)
    t.equal(await admitted((i) => `2001:db8:2:${10 + i}::1`), 4)
    t.equal(await admitted((i) => `2001:db8:3:${10 + i}00::1`), 16)
  })
})
