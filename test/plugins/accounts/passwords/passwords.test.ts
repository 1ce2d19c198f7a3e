import t from 'tap'
import { PASSWORD, assertList, breakThreads, build, createLog } from '../../../helper.ts'
import type { Test } from 'tap'

const SALT_AND_TAG = '$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g'

t.test('A password', async (t) => {
  const { passwords } = await build(t)

  t.test('is hashed with argon2id and a salt of its own', async (t) => {
    const [one, two] = await Promise.all([passwords.hash(PASSWORD), passwords.hash(PASSWORD)])

    t.match(one, /^\$argon2id\$v=19\$m=1024,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    t.not(one, two)
  })

  t.test('matches its hash, and no other does', async (t) => {
    const hash = await passwords.hash(PASSWORD)

    t.equal(await passwords.verify(hash, PASSWORD), true)
    for (const other of [`${PASSWORD} `, PASSWORD.slice(0, -1), PASSWORD.toUpperCase(), '']) t.equal(await passwords.verify(hash, other), false, other)
  })

  t.test('matches however its letters were composed', async (t) => {
    const hash = await passwords.hash('fünf grüne Äpfel'.normalize('NFD'))

    t.equal(await passwords.verify(hash, 'fünf grüne Äpfel'.normalize('NFC')), true)
    t.equal(await passwords.verify(hash, 'fünf grüne Äpfel'.normalize('NFD')), true)
    t.equal(await passwords.verify(hash, 'funf grune Apfel'), false)
  })

  t.test('counts to its last character, of 256 of four bytes each', async (t) => {
    const hash = await passwords.hash('🌂'.repeat(256))

    t.equal(await passwords.verify(hash, '🌂'.repeat(256)), true)
    t.equal(await passwords.verify(hash, '🌂'.repeat(255) + '🌃'), false)
  })

  t.test('matches nothing where there is no hash', async (t) => {
    t.equal(await passwords.verify(undefined, PASSWORD), false)
  })
})

t.test('The parameters of a hash', async (t) => {
  t.test('are those of OWASP unless others are set', async (t) => {
    const { passwords } = await build(t, { env: { ARGON2_MEMORY_KIB: '', ARGON2_TIME_COST: '' } })

    t.match(await passwords.hash(PASSWORD), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  })

  t.test('are outdated when others are set', async (t) => {
    const { passwords } = await build(t)

    t.equal(passwords.isOutdated(await passwords.hash(PASSWORD)), false)
    for (const parameters of ['m=1024,t=2,p=1', 'm=10240,t=1,p=1', 'm=1024,t=1,p=2']) t.equal(passwords.isOutdated(`$argon2id$v=19$${parameters}${SALT_AND_TAG}`), true, parameters)
  })

  t.test('are refused when they are absurd, before anything is computed with them', async (t) => {
    const { lines, logger } = createLog()
    const { passwords } = await build(t, { logger })
    const absurd = [
      '$argon2id$v=19$m=4194304,t=2,p=1',
      '$argon2id$v=19$m=1024,t=1000000,p=1',
      '$argon2id$v=19$m=1024,t=1,p=255',
      '$argon2id$v=16$m=1024,t=1,p=1',
      '$argon2i$v=19$m=1024,t=1,p=1',
      '$2b$12'
    ]

    const { maxRSS } = process.resourceUsage()
    for (const parameters of absurd) t.equal(await passwords.verify(parameters + SALT_AND_TAG, PASSWORD), false, parameters)
    t.equal(await passwords.verify('', PASSWORD), false)

    t.equal(lines.filter(({ event, level }) => event === 'absurd_hash' && level === 50).length, absurd.length + 1)
    t.notMatch(JSON.stringify(lines), SALT_AND_TAG)
    t.ok(process.resourceUsage().maxRSS - maxRSS < 1_000_000, 'nothing took 4 GiB')
  })
})

t.test('Where there is no hash, verifying', async (t) => {
  t.test('costs what it costs where there is one', async (t) => {
    const { passwords } = await build(t, { env: { ARGON2_MEMORY_KIB: '65536', ARGON2_TIME_COST: '2' } })
    const hash = await passwords.hash(PASSWORD)

    const real = await cpuTimeOf(() => passwords.verify(hash, PASSWORD))
    const decoy = await cpuTimeOf(() => passwords.verify(undefined, PASSWORD))
    const absurd = await cpuTimeOf(() => passwords.verify('$2b$12', PASSWORD))

    t.ok(decoy > real / 2 && decoy < real * 2, `${decoy} µs, where a real one takes ${real} µs`)
    t.ok(absurd > real / 2 && absurd < real * 2, `${absurd} µs, where a real one takes ${real} µs`)
  })

  t.test('costs what it costs for a decoy that was hashed with other parameters, and is false all the same', async (t) => {
    const { passwords: { hash } } = await build(t)
    const { passwords } = await build(t, { env: { ARGON2_MEMORY_KIB: '65536', ARGON2_TIME_COST: '2' } })
    const decoy = await hash(PASSWORD)

    t.equal(await passwords.verify(undefined, PASSWORD, { decoy }), false)
    const timeOfToday = await cpuTimeOf(() => passwords.verify(undefined, PASSWORD))
    for (const own of [undefined, '$2b$12']) {
      const time = await cpuTimeOf(() => passwords.verify(own, PASSWORD, { decoy }))
      t.ok(time < timeOfToday / 4, `${time} µs, where one of today takes ${timeOfToday} µs`)
    }
  })
})

t.test('A storm of logins', async (t) => {
  t.test('is answered 503 beyond what may wait', async (t) => {
    const env = { ARGON2_THREADS: '1', ARGON2_QUEUE: '2', ARGON2_TIME_COST: '10', ARGON2_MEMORY_KIB: '8192' } // a hash takes longer than the database
    const server = await build(t, { env })
    const login = () => server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'nobody', password: PASSWORD } })

    const responses = await Promise.all(Array.from({ length: 20 }, login))

    const refused = responses.filter(({ statusCode }) => statusCode === 503)
    t.equal(responses.filter(({ statusCode }) => statusCode === 401).length + refused.length, 20)
    t.ok(refused.length < 20)
    t.match(refused[0]!.json(), { code: 'busy' })
    t.equal(refused[0]!.headers['retry-after'], '1')
    t.equal((await login()).statusCode, 401)

    const hashes = await Promise.allSettled(Array.from({ length: 20 }, () => server.passwords.hash(PASSWORD)))
    t.equal(hashes.filter(({ status }) => status === 'fulfilled').length, 1 + 2)
  })

  t.test('is answered in the order in which it came', async (t) => {
    const { passwords } = await build(t, { env: { ARGON2_THREADS: '1' } })
    const answered: number[] = []
    const each = Array.from({ length: 20 }, (_, i) => i)

    await Promise.all(each.map(async (i) => {
      await passwords.hash(PASSWORD)
      answered.push(i)
    }))

    t.same(answered, each)
  })
})

t.test('The queue', async (t) => {
  /** How many passwords of each client find a place while those of all others wait. */
  async function placesOf (t: Test, clients: string[][], env: Record<string, string> = {}) {
    const server = await build(t, { env: { ARGON2_THREADS: '1', ARGON2_QUEUE: '29', RATE_LIMIT: 'on', ...env } })
    const all = clients.map((addresses) => Promise.allSettled(addresses.map((client) => server.passwords.hash(PASSWORD, client))))
    return (await Promise.all(all)).map((each) => each.filter(({ status }) => status === 'fulfilled').length)
  }

  const many = (client: (i: number) => string) => Array.from({ length: 40 }, (_, i) => client(i))

  t.test('is shared: one address fills a third of it, and those that come later find room', async (t) => {
    const clients = [many(() => '192.0.2.1'), ['192.0.2.2', '192.0.2.2'], many(() => '192.0.2.3'), ['192.0.2.4']]

    t.same(await placesOf(t, clients), [10, 2, 6, 1])
  })

  t.test('is shared so by /64, /56 and /48, too', async (t) => {
    t.same(await placesOf(t, [many((i) => `2001:db8:1:1::${i}`), ['2001:db8:1:200::1'], ['192.0.2.1']]), [10, 1, 1])
    t.same(await placesOf(t, [many((i) => `2001:db8:1:1${i + 10}::1`), ['2001:db8:1:200::1'], ['192.0.2.1']]), [15, 1, 1])
    t.same(await placesOf(t, [many((i) => `2001:db8:1:${i + 10}00::1`), ['2001:db8:2::1', '192.0.2.1']]), [20, 2])
  })

  t.test('is not shared where RATE_LIMIT is off', async (t) => {
    t.same(await placesOf(t, [many(() => '192.0.2.1')], { RATE_LIMIT: 'off' }), [30])
  })

  t.test('goes by the address that a gateway forwards', async (t) => {
    const server = await build(t, { env: { ARGON2_THREADS: '1', ARGON2_QUEUE: '29', RATE_LIMIT: 'on', TRUST_PROXY: '127.0.0.1' } })
    const login = async (from: string, i: number) => (await server.inject({
      method: 'POST', url: '/auth/login', headers: { 'x-forwarded-for': from }, payload: { username: `nobody${i}`, password: PASSWORD }
    })).statusCode

    const flood = Promise.all(Array.from({ length: 40 }, (_, i) => login('192.0.2.1:4000', i)))
    const others = await Promise.all(Array.from({ length: 5 }, (_, i) => login(`198.51.100.${i}`, i)))

    t.same(others, [401, 401, 401, 401, 401])
    t.notOk((await flood).includes(500))
  })
})

t.test('A thread that cannot start', async (t) => {
  t.test('leaves its password without a hash, and the next password gets one', async (t) => {
    const { lines, logger } = createLog()
    const { passwords } = await build(t, { env: { ARGON2_THREADS: '5' }, logger }) // a number that no other test has, so that no thread runs already

    const repair = breakThreads(t)
    await t.rejects(passwords.hash(PASSWORD), { message: 'Terminating worker thread' })
    assertList(t, lines.filter(({ level }) => level === 50), [{ msg: /thread for hashing could not start, or ended/, err: { message: 'no memory' } }])
    repair()

    t.match(await passwords.hash(PASSWORD), /^\$argon2id\$/)
  })
})

/** The time that all threads of this process were busy, in microseconds: others on this machine do not change it. The least of three. */
async function cpuTimeOf (run: () => Promise<unknown>): Promise<number> {
  const times = []
  for (let i = 0; i < 3; i++) {
    const before = process.cpuUsage()
    await run()
    const { user, system } = process.cpuUsage(before)
    times.push(user + system)
  }
  return Math.min(...times)
}
