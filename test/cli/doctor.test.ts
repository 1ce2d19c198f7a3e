import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import t from 'tap'
import { examine } from '../../cli/doctor.ts'
import { PASSWORD, TEST_ENVIRONMENT, build, createClock, signUp } from '../helper.ts'
import { cli } from '../processes.ts'
import type { Test } from 'tap'

const clock = createClock()
const surroundings = { now: clock.now(), cores: 8, memoryBytes: 2 ** 40, freeDiskBytes: 2 ** 40 }
const production = { ISSUER: 'https://auth.example.com', HOST: '0.0.0.0', TRUST_PROXY: '10.0.0.0/8' }

function assertComplaint (t: Test, complaints: object[], level: string, about: string, sentence: RegExp) {
  t.match(complaints, [{ level, about, sentence }])
  t.equal(complaints.length, 1, 'and nothing else')
}

t.test('doctor', async (t) => {
  const root = t.testdir({ data: {}, places: {} })
  const server = await build(t, { env: { ...TEST_ENVIRONMENT, DATABASE_URL: `file:${join(root, 'data', 'postern.db')}` }, now: clock.now })
  await signUp(server)
  await server.close()
  const recorded = new Client(join(root, 'data', 'postern.db'))
  recorded.exec('delete from service_state') // the settings of the tests
  recorded.close()
  let count = 0

  /** A copy of that installation, and the findings about it that are not ok. */
  function prepare () {
    const folder = join(root, 'places', String(++count))
    const file = join(folder, 'postern.db')
    mkdirSync(folder, { mode: 0o700 })
    for (const name of ['postern.db', 'master.key']) copyFileSync(join(root, 'data', name), join(folder, name))

    return {
      folder,
      file,
      keyFile: join(folder, 'master.key'),
      change (...statements: string[]) {
        const client = new Client(file)
        for (const statement of statements) client.exec(statement)
        client.close()
      },
      async complaints (env: Record<string, string> = {}, around = {}) {
        const findings = await examine({ ...production, DATABASE_URL: `file:${file}`, ...env }, { ...surroundings, ...around })
        return findings.filter(({ level }) => level !== 'ok')
      }
    }
  }

  t.test('finds nothing wrong in a sound installation, and changes nothing', async (t) => {
    const { folder, file } = prepare()
    const { mtimeMs } = statSync(file)

    const findings = await examine({ ...production, DATABASE_URL: `file:${file}` }, surroundings)

    t.same(findings.map(({ level, about }) => `${level} ${about}`), ['ok settings', 'ok permissions', 'ok master key', 'ok integrity', 'ok migrations', 'ok keys', 'ok clock', 'ok disk'])
    t.same(readdirSync(folder).sort(), ['master.key', 'postern.db'])
    t.equal(statSync(file).mtimeMs, mtimeMs)
  })

  t.test('prints a line for each finding, and ends with 1 when something is broken', async (t) => {
    const { file, keyFile } = prepare()
    chmodSync(keyFile, 0o644)

    const { code, stdout, stderr } = await cli({ env: { DATABASE_URL: `file:${file}`, ISSUER: '', ARGON2_MEMORY_KIB: '', ARGON2_TIME_COST: '', RATE_LIMIT: '' } }, 'doctor')

    t.same({ code, stderr }, { code: 1, stderr: '' })
    t.match(stdout, /^warn {2}settings {5}ISSUER is not set: .+\nfail {2}permissions {2}Other users may read .+\. Run: chmod 600 .+\nok {4}master key/)
  })

  t.test('says about a wrong setting what a start would say, about a feature\'s too', async (t) => {
    const { complaints } = prepare()

    for (const name of ['PORT', 'METRICS_PORT']) assertComplaint(t, await complaints({ [name]: 'x' }), 'fail', 'settings', new RegExp(`^${name} is "x" but should be a port `))
  })

  t.test('warns of settings that are unfit for production', async (t) => {
    const { complaints } = prepare()
    const cases: Array<[Record<string, string>, RegExp]> = [
      [{ ISSUER: '' }, /^ISSUER is not set/],
      [{ ISSUER: 'http://auth.example.com' }, /^ISSUER begins with http:/],
      [{ TRUST_PROXY: '' }, /^HOST is 0\.0\.0\.0 and TRUST_PROXY is not set/],
      [{ TRUST_PROXY: '0.0.0.0/0' }, /^TRUST_PROXY trusts everybody/],
      [{ JWT_ALGORITHM: 'HS256', JWT_SECRET: 'secret'.repeat(6) }, /^JWT_SECRET repeats few characters/],
      [{ WORKERS: '9' }, /^WORKERS is 9 on 8 cores/],
      [{ ARGON2_TIME_COST: '1' }, /^ARGON2_MEMORY_KIB and ARGON2_TIME_COST are below/],
      [{ RATE_LIMIT: 'off' }, /^RATE_LIMIT is off/]
    ]

    for (const [env, sentence] of cases) assertComplaint(t, await complaints(env), 'warn', 'settings', sentence)
    assertComplaint(t, await complaints({ ARGON2_THREADS: '2' }, { memoryBytes: 64 * 2 ** 20 }), 'warn', 'settings', /^Hashing passwords can take 38 MiB of 64/)
    t.same(await complaints({ ISSUER: 'http://localhost:3000', HOST: '127.0.0.1', TRUST_PROXY: '' }), [], 'as on a laptop')
    t.same(await complaints({ ARGON2_MEMORY_KIB: '7168', ARGON2_TIME_COST: '5' }), [], 'which OWASP holds to be equal')
  })

  t.test('warns of a gateway that TRUST_PROXY does not name', async (t) => {
    const { change, complaints } = prepare()

    assertComplaint(t, await complaints({ HOST: '', TRUST_PROXY: '' }), 'warn', 'settings', /^ISSUER is an https address, which only a gateway can serve, and TRUST_PROXY is not set: /)
    change("insert into service_state values ('UNTRUSTED_GATEWAY', '10.0.0.7', 1)")
    assertComplaint(t, await complaints({ HOST: '', TRUST_PROXY: '' }), 'warn', 'settings', /^Requests from 10\.0\.0\.7 brought X-Forwarded-For, and TRUST_PROXY is not set: /)
    t.same(await complaints(), [])
  })

  t.test('goes by the settings of the service, and warns of those that differ', async (t) => {
    const { change, complaints } = prepare()
    change("insert into service_state values ('ISSUER', 'http://127.0.0.1:3000', 1), ('HOST', '127.0.0.1', 1), ('TRUST_PROXY', '', 1), ('JWT_ALGORITHM', 'ES256', 1)")

    t.match((await complaints({ HOST: '127.0.0.1' })).map(({ sentence }) => sentence), [
      'ISSUER is "https://auth.example.com" here, but "http://127.0.0.1:3000" in the service, which counts.',
      'TRUST_PROXY is "10.0.0.0/8" here, but not set in the service, which counts.',
      /^ISSUER is http:\/\/127\.0\.0\.1:3000, an address of this machine\. Set it to /
    ])
  })

  t.test('names what is misspelt in .env', async (t) => {
    assertComplaint(t, await prepare().complaints({}, { namesInEnvFile: ['METRICS_PROT', 'PORT'] }), 'warn', 'settings', /^METRICS_PROT in \.env is no setting of Postern, and is ignored\. Do you mean METRICS_PORT\?$/)
  })

  t.test('warns of a database in memory', async (t) => {
    assertComplaint(t, await prepare().complaints({ DATABASE_URL: 'file::memory:' }), 'warn', 'database', /forgets everything/)
  })

  t.test('accepts a database that does not exist yet', async (t) => {
    const { folder, complaints } = prepare()

    for (const path of ['other.db', 'new/postern.db']) t.same(await complaints({ DATABASE_URL: `file:${join(folder, path)}` }), [])
  })

  t.test('finds what others may read', async (t) => {
    const { folder, file, complaints } = prepare()

    chmodSync(folder, 0o755)
    assertComplaint(t, await complaints(), 'warn', 'permissions', /^Other users may look into .+\. Run: chmod 700/)
    chmodSync(folder, 0o700)
    chmodSync(file, 0o640)
    assertComplaint(t, await complaints(), 'fail', 'permissions', /postern\.db\. Run: chmod 600/)
  })

  t.test('accepts an empty database, which the first start fills', async (t) => {
    const { file, complaints } = prepare()
    writeFileSync(file, '')

    t.same(await complaints(), [])
  })

  t.test('finds a damaged database', async (t) => {
    const { file, change, complaints } = prepare()

    change('pragma foreign_keys = OFF', 'update sessions set user_id = \'nobody\'')
    assertComplaint(t, await complaints(), 'fail', 'integrity', /1 rows refer to missing rows/)
    writeFileSync(file, 'something else altogether')
    assertComplaint(t, await complaints(), 'fail', 'integrity', /is not a database/)
  })

  t.test('finds a database of another program or another version', async (t) => {
    const { change, complaints } = prepare()

    change('insert into __drizzle_migrations (hash, created_at) values (\'new\', 9000000000000)')
    assertComplaint(t, await complaints(), 'fail', 'migrations', /^A later version of Postern wrote this database/)
    change('delete from __drizzle_migrations where created_at > (select min(created_at) from __drizzle_migrations)')
    assertComplaint(t, await complaints(), 'warn', 'migrations', /Some are missing/)
    change('drop table __drizzle_migrations')
    assertComplaint(t, await complaints(), 'fail', 'migrations', /no database of Postern/)
  })

  t.test('finds keys that the master key does not decrypt', async (t) => {
    const { keyFile, complaints } = prepare()

    assertComplaint(t, await complaints({ MASTER_KEY: Buffer.alloc(32).toString('base64') }), 'fail', 'keys', /does not decrypt the signing keys/)
    writeFileSync(keyFile, PASSWORD)
    assertComplaint(t, await complaints(), 'fail', 'keys', /does not decrypt the signing keys/)
    rmSync(keyFile)
    assertComplaint(t, await complaints(), 'fail', 'keys', /^The master key of the database, the file \S+, is missing\. Restore it, or /)
  })

  t.test('finds a clock that is behind', async (t) => {
    const { complaints } = prepare()

    assertComplaint(t, await complaints({}, { now: clock.now() - 3_600_000 }), 'fail', 'clock', /^This machine says 2026-11-21T11:00:00\.000Z, but the newest row is of 2026-11-21T12:00:00/)
    t.same(await complaints({}, { now: clock.now() - 30_000 }), [], 'by less than clocks may differ')
  })

  t.test('finds a disk that is nearly full', async (t) => {
    const { complaints } = prepare()

    assertComplaint(t, await complaints({}, { freeDiskBytes: 32 * 2 ** 20 }), 'warn', 'disk', /^Only 32 MiB are free/)
    assertComplaint(t, await complaints({}, { freeDiskBytes: 2 ** 20 }), 'fail', 'disk', /^Only 1 MiB are free/)
  })
})
