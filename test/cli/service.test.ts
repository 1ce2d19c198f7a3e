import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Client from 'better-sqlite3'
import t from 'tap'
import { PASSWORD, build, claimsOf, databaseUrl, signIn, signUp } from '../helper.ts'
import { CLI, cli, inTerminal, run, start } from '../processes.ts'

const READING = [
  'users list', 'users show ada', 'sessions list ada', 'clients list', 'keys list', 'keys export', 'keys export --pem',
  'audit list', 'audit export', 'audit verify', 'why nothing', 'doctor', 'backup COPY'
]
const WRITING = ['sessions end --all', 'users delete-all --yes', 'keys rotate', 'clients create gateway', 'users disable ada', 'users password ada']
const SECRET = 'thirty-two bytes, or a few more of them'

/** All that is in a database. */
function contentOf (file: string): unknown {
  const client = new Client(file) // a reader would leave its -wal behind
  const tables = client.prepare<[], string>("select name from sqlite_schema where type = 'table' order by name").pluck().all()
  const rows = tables.map((table) => client.prepare(`select * from ${table}`).all())
  client.close()
  return JSON.stringify([tables, rows])
}

function fileOf ({ DATABASE_URL: url }: { DATABASE_URL: string }): string {
  return url.slice('file:'.length)
}

t.test('A command that reads', async (t) => {
  t.test('writes nothing, whatever the settings of its shell are', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const server = await build(t, { env: { ...env, JWT_ALGORITHM: 'RS256', ACCESS_TOKEN_TTL: '12h' } })
    await signUp(server, { username: 'ada' })
    await server.close()
    const before = contentOf(fileOf(env))

    for (const [i, words] of READING.entries()) {
      await cli({ env: { ...env, JWT_ALGORITHM: 'ES256', KEY_ROTATION: '2s', KEY_PREPUBLISH: '1s' } }, words.replace('COPY', join(t.testdirName, `copy${i}`)))

      t.equal(contentOf(fileOf(env)), before, words)
      t.same(readdirSync(dirname(fileOf(env))).sort(), ['master.key', 'postern.db'], words)
    }
  })
})

t.test('A command', async (t) => {
  for (const words of [...READING.filter((words) => words !== 'doctor'), ...WRITING]) {
    t.test(`makes no database: ${words}`, async (t) => {
      const url = databaseUrl(t)

      const { code, stdout, stderr } = await cli({ env: { DATABASE_URL: url }, input: PASSWORD }, words)

      t.same({ code, stdout }, { code: 1, stdout: '' })
      t.match(stderr, /^There is no database \S+postern\.db\. Start the service once, or set DATABASE_URL as the service has it\.\n$/)
      t.notOk(existsSync(dirname(url.slice('file:'.length))))
    })
  }

  t.test('is refused for a database in memory, which is another one', async (t) => {
    t.match(await cli({}, 'users list'), { code: 1, stderr: 'DATABASE_URL is a database in memory: there is no file.\n' })
  })

  t.test('is refused for a database of another version or another program, and leaves it as it is', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    mkdirSync(dirname(fileOf(env)))
    const change = (sql: string) => { const client = new Client(fileOf(env)); client.exec(sql); client.close() }
    const refusal = async () => (await cli({ env }, 'users list')).stderr
    writeFileSync(fileOf(env), '')
    t.match(await refusal(), /^The database is empty\. /)
    change('create table notes (id integer primary key)')
    t.match(await refusal(), /^The database of DATABASE_URL is no database of Postern\. /)
    change('drop table notes')
    await (await build(t, { env })).close()

    change("insert into __drizzle_migrations (hash, created_at) values ('new', 9000000000000)")
    t.match(await refusal(), /^A later version of Postern wrote the database\. /)
    change('delete from __drizzle_migrations where created_at > (select min(created_at) from __drizzle_migrations)')
    const before = contentOf(fileOf(env))
    t.match(await refusal(), /^The database is of an earlier version of Postern\. /)
    t.equal(contentOf(fileOf(env)), before)
    writeFileSync(fileOf(env), 'something else altogether')
    t.match(await refusal(), /^DATABASE_URL is .*\(file is not a database\)\.\n$/)
  })

  t.test('is refused when the master key is lost, and makes no other', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    await (await build(t, { env })).close()
    renameSync(join(dirname(fileOf(env)), 'master.key'), join(t.testdirName, 'elsewhere'))

    const { code, stderr } = await cli({ env }, 'users list')

    t.equal(code, 1)
    t.match(stderr, /^The master key of the database, the file \S+master\.key, is missing\. Restore it, or set MASTER_KEY to what was in it\.\n$/)
    t.same(readdirSync(dirname(fileOf(env))), ['postern.db'])
  })
})

t.test('The settings of a command', async (t) => {
  t.test('are those of the service; it warns of those that are others in its shell', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const server = await build(t, { env: { ...env, ISSUER: 'https://auth.example.com', ACCESS_TOKEN_TTL: '12h', JWT_ALGORITHM: 'RS256' } })
    const ada = await signUp(server)

    t.same(await cli({ env, input: ada.access_token }, 'why'), { code: 0, stdout: 'good\tThe token is good.\n', stderr: '' })
    const other = { ...env, ISSUER: 'https://id.example.com', TRUST_PROXY: '::1' }
    t.same(await cli({ env: other, input: ada.access_token }, 'why'), {
      code: 0,
      stdout: 'good\tThe token is good.\n',
      stderr: 'ISSUER is "https://id.example.com" here, but "https://auth.example.com" in the service, which counts.\n' +
        'TRUST_PROXY is "::1" here, but not set in the service, which counts.\n'
    })
  })

  t.test('say of a token of another issuer that the service refuses it', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const first = await build(t, { env: { ...env, ISSUER: 'https://old.example.com' } })
    const ada = await signUp(first)
    await first.close()
    await build(t, { env: { ...env, ISSUER: 'https://auth.example.com' } })

    t.match((await cli({ env: { ...env, ISSUER: 'https://old.example.com' }, input: ada.access_token }, 'why')).stdout, /^wrong_issuer\t/)
  })

  t.test('keep the algorithm of the service when its key is rotated or revoked', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const server = await build(t, { env: { ...env, JWT_ALGORITHM: 'RS256', ACCESS_TOKEN_TTL: '12h' } })
    const { kid } = server.signingKeys.current()

    await cli({ env }, 'keys rotate --now')
    const [first, second] = server.signingKeys.all()
    await cli({ env }, `keys revoke --kid ${kid}`)

    t.equal(second?.algorithm, 'RS256')
    t.equal(first!.retiresAt! - second!.signsFrom, 12 * 3_600_000)
    t.same(server.signingKeys.all().map(({ algorithm }) => algorithm), ['RS256'])
  })

  t.test('need no JWT_SECRET where the service has one, except to verify tokens', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const secret = { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }
    const server = await build(t, { env: { ...env, ...secret } })
    const ada = await signUp(server, { username: 'ada' })

    const [listed, rotated, why] = [await cli({ env }, 'users list'), await cli({ env }, 'keys rotate'), await cli({ env: { ...env, ...secret }, input: ada.access_token }, 'why')]

    t.match(listed, { code: 0, stdout: /\tada\t/, stderr: /^The service signs with HS256, and JWT_SECRET is not set here/ })
    t.match(rotated, { code: 1, stderr: /HS256 uses one shared secret/ })
    t.match(why, { code: 0, stdout: /^good\t/, stderr: '' })
  })

  t.test('have no JWT_SECRET where the service has none', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const ada = await signUp(await build(t, { env }))

    const { stdout, stderr } = await cli({ env: { ...env, JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, input: ada.access_token }, 'why')

    t.match(stdout, /^good\t/)
    t.equal(stderr, 'JWT_ALGORITHM is "HS256" here, but "ES256" in the service, which counts.\n')
  })

  t.test('are those of the shell for a database that no service has recorded any in', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    await cli({ env, input: PASSWORD }, 'users create --username ada')

    t.match(await cli({ env: { ...env, ISSUER: 'https://auth.example.com' } }, 'keys list'), { code: 0, stdout: /ES256\tsigns/, stderr: '' })
    const client = new Client(fileOf(env))
    client.exec('delete from signing_keys')
    client.close()
    t.same(await cli({ env }, 'keys list'), { code: 0, stdout: '', stderr: '' })
  })
})

t.test('The output of a command', async (t) => {
  const env = { DATABASE_URL: databaseUrl(t) }
  await signUp(await build(t, { env }), { username: 'ada' })
  const shell = (words: string) => run(['sh', '-c', `${CLI.join(' ')} ${words}`], { env })

  t.test('that cannot be written ends it with 1 and a sentence', async (t) => {
    t.match(await shell('users list > /dev/full'), { code: 1, stderr: /^The output could not be written\. What the command changed, it has changed \(ENOSPC: .+\)\.\n$/ })
  })

  t.test('that nobody reads on ends it with 1, and no word', async (t) => {
    t.same(await shell('audit export | head -0; exit'), { code: 0, stdout: '', stderr: '' })
  })
})

t.test('why, in a terminal and without an argument, says what it wants', async (t) => {
  const env = { DATABASE_URL: databaseUrl(t) }
  const terminal = start(t, { env, command: inTerminal([...CLI, 'why']) })

  t.equal(await terminal.ends(), 1)
  t.match(terminal.lines().join(), /^Give a token or the X-Request-Id of a request\./)
})

t.test('A password or a token that is no text is refused', async (t) => {
  const env = { DATABASE_URL: databaseUrl(t) }
  const server = await build(t, { env })
  await signUp(server, { username: 'ada' })
  const bytes = Buffer.from('violet-h\xe4rbor-93-lantern', 'latin1') as unknown as string // as another system writes it

  for (const words of ['users password ada', 'users create --username bea', 'why']) {
    const { code, stderr } = await cli({ env, input: bytes }, words)
    t.same({ code, stderr }, { code: 1, stderr: 'The standard input is not UTF-8 text, so nothing was done.\n' }, words)
  }

  t.equal(claimsOf((await signIn(server, 'ada')).access_token).sub, (await server.accounts.findByLogin('ada'))?.id)
})
