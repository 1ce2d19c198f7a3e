import { globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { toColumns } from '../plugins/accounts/canonical-names.ts'
import { PASSWORD, build, databaseUrl, signIn, signUp, signUpAdmin } from './helper.ts'
import { CLI, cli, inTerminal, run, start } from './processes.ts'
import type { FastifyRequest } from 'fastify'
import type { Test } from 'tap'

const MOST_ON_A_PAGE = 200

/** A running service, and the command line on the same database: `cli('users list')`. */
async function buildWithCli (t: Test) {
  const env = { DATABASE_URL: databaseUrl(t) }
  const server = await build(t, { env })
  return { server, env, cli: (words: string, input = PASSWORD) => cli({ env, input: `${input}\n` }, words) }
}

t.test('users create', async (t) => {
  t.test('makes an administrator, who can sign in', async (t) => {
    const { server, cli } = await buildWithCli(t)

    const { code, stdout, stderr } = await cli('users create --email Root@Example.com --name Root --role admin')

    t.equal(stderr, '')
    t.equal(code, 0)
    t.match(stdout, /^[\w-]{22}\t-\troot@example\.com\tadmin\tactive\t20\S+Z\n$/)
    t.match((await signIn(server, 'root@example.com')).user, { name: 'Root', roles: ['admin'] })
  })

  t.test('asks for the password in a terminal, and does not show it', async (t) => {
    const { server, env } = await buildWithCli(t)
    const terminal = start(t, { env, command: inTerminal([...CLI, 'users', 'create', '--username', 'ada']) })

    const shown = await terminal.asks('Password: ', `${PASSWORD}\r`)

    t.equal(await terminal.ends(), 0)
    t.match(shown, /^Password: \r\n[\w-]{22}\tada\t-\t-\tactive\t\S+\r\n$/)
    t.equal((await signIn(server, 'ada')).user.username, 'ada')
  })

  t.test('does nothing after Ctrl-C', async (t) => {
    const terminal = start(t, { command: inTerminal([...CLI, 'users', 'create', '--username', 'ada']) })

    const shown = await terminal.asks('Password: ', '\u0003')

    t.equal(await terminal.ends(), 1)
    t.equal(shown, 'Password: \r\nNo password was given, so nothing was done.\r\n')
  })
})

t.test('users list', async (t) => {
  t.test('prints every account, over more than a page, in the order in which they were made', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const names = Array.from({ length: MOST_ON_A_PAGE + 1 }, (_, i) => `user${i}`)
    await Promise.all(names.map((username, i) => server.db.users.add({ id: `id${i}`, ...toColumns({ username }), passwordHash: '-', roles: [], createdAt: i })))
    await server.db.users.update('id1', { disabled: true })

    const { code, stdout } = await cli('users list')
    const lines = stdout.trimEnd().split('\n').map((line) => line.split('\t'))

    t.equal(code, 0)
    t.same(lines.map(([, username]) => username), names)
    t.same(lines.slice(0, 2).map(([,,,, state]) => state), ['active', 'disabled'])
  })
})

t.test('users disable, enable and delete', async (t) => {
  t.test('take effect in the running service at once', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const ada = await signUp(server, { username: 'ada' })
    const login = () => server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'ada', password: PASSWORD } })

    t.same(await cli('users disable ada'), { code: 0, stdout: 'disabled\n', stderr: '' })
    t.equal((await ada.inject({ url: '/secret' })).json().code, 'token_revoked')
    t.equal((await login()).json().code, 'account_disabled')

    t.same(await cli('users enable ada'), { code: 0, stdout: 'enabled\n', stderr: '' })
    const again = await signIn(server, 'ada')
    t.equal((await again.inject({ url: '/secret' })).statusCode, 200)

    t.same(await cli(`users delete ${ada.user.id}`), { code: 0, stdout: 'deleted\n', stderr: '' })
    t.equal((await again.inject({ url: '/secret' })).json().code, 'token_revoked')
    t.equal((await login()).json().code, 'invalid_credentials')
  })
})

t.test('users delete-all --yes', async (t) => {
  t.test('deletes every account, administrators too, and ends their sessions', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const ada = await signUp(server)
    const admin = await signUpAdmin(server)

    t.same(await cli('users delete-all --yes'), { code: 0, stdout: 'accounts deleted: 2\n', stderr: '' })

    t.same(await server.db.users.list({ limit: 1 }), [])
    t.equal((await ada.inject({ url: '/secret' })).json().code, 'token_revoked')
    t.equal((await admin.inject({ url: '/secret' })).json().code, 'token_revoked')
  })
})

t.test('sessions', async (t) => {
  t.test('list prints the live ones, without control characters', async (t) => {
    const { server, cli } = await buildWithCli(t)
    await signUp(server, { username: 'ada' })
    const user = (await server.accounts.findByLogin('ada'))! // she has just signed up
    await server.sessions.start(user, { ip: '203.0.113.7', headers: {}, log: server.log } as FastifyRequest)
    await server.sessions.start(user, { ip: '203.0.113.8', headers: { 'user-agent': 'A\u009b2J\tB' }, log: server.log } as FastifyRequest)

    const { code, stdout } = await cli('sessions list ada')

    t.equal(code, 0)
    t.same(stdout.trimEnd().split('\n').map((line) => line.split('\t').slice(2)).sort(), [
      ['127.0.0.1', 'lightMyRequest'],
      ['203.0.113.7', '-'],
      ['203.0.113.8', 'A?2J?B']
    ])
    t.match(stdout, /^[\w-]{22}\t20\S+Z\t/)
  })

  t.test('end takes effect in the running service at once, and leaves other accounts alone', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const ada = await signUp(server, { email: 'ada@example.com' })
    const grace = await signUp(server)
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)

    t.same(await cli('sessions end --user ada@example.com'), { code: 0, stdout: 'sessions ended: 1\n', stderr: '' })

    t.equal((await ada.inject({ url: '/secret' })).json().code, 'token_revoked')
    t.equal((await ada.refresh()).json().code, 'token_revoked')
    t.equal((await grace.inject({ url: '/secret' })).statusCode, 200)
    t.same(await cli('sessions list ada@example.com'), { code: 0, stdout: '', stderr: '' })
  })
})

t.test('a command that is refused ends with 1 and one sentence, and changes nothing', async (t) => {
  const { server, cli } = await buildWithCli(t)
  await signUpAdmin(server, 'root')
  const before = await server.db.users.list({ limit: MOST_ON_A_PAGE })

  const commands: Array<[words: string, sentence: string, password?: string]> = [
    ['users create', 'Give --username, --email or both.'],
    ['users create --username ROOT', 'This username is taken. Choose another.'],
    ['users create --username ada', 'This password is easy to guess. Choose another.', 'password123'],
    ['users create --username ada', 'The password must not have fewer than 1 characters.', ''],
    ['users create --email ada@', 'The email has characters that are not allowed in one.'],
    ['users create --username ada --role Boss', 'The role has characters that are not allowed in one.'],
    ['users disable root', 'This is the last administrator. Make another one first.'],
    ['users delete ada', 'There is no account "ada".'],
    ['users delete ada --user bea', 'Name one account: as an argument or with --user, not both.'],
    ['sessions end', 'Name the account: give an id, a username or an e-mail address.'],
    ['users delete-all', 'error: required option \'--yes\' not specified']
  ]
  await Promise.all(commands.map(async ([words, sentence, password]) => {
    t.same(await cli(words, password), { code: 1, stdout: '', stderr: `${sentence}\n` }, words)
  }))

  t.same(await server.db.users.list({ limit: MOST_ON_A_PAGE }), before)
})

t.test('an id that somebody else has taken as a username names neither account', async (t) => {
  const { server, cli } = await buildWithCli(t)
  const { user: { id } } = await signUp(server)
  await signUp(server, { username: id })

  t.same(await cli(`users disable ${id}`), { code: 1, stdout: '', stderr: `"${id}" is the id of one account and the username of another. Name it in another way.\n` })
})

t.test('--help lists every command on standard output, and --version prints the version', async (t) => {
  const [help, version] = [await cli({}, '--help'), await cli({}, '--version')]

  for (const { code, stderr } of [help, version]) t.same({ code, stderr }, { code: 0, stderr: '' })
  for (const command of ['users', 'sessions', 'clients', 'keys', 'audit', 'why', 'backup', 'restore', 'doctor']) t.match(help.stdout, new RegExp(`^  ${command} .*\\S$`, 'm'))
  t.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
})

t.test('a wrong setting is named, from .env too', async (t) => {
  const cwd = t.testdir({ '.env': 'AUDIENCE=two words' })

  t.same(await run([...CLI, 'users', 'list'], { cwd }), { code: 1, stdout: '', stderr: 'AUDIENCE is "two words" but should be a name without spaces for who accepts the access tokens.\n' })
})

t.test('an unexpected error is printed with its stack', async (t) => {
  const url = databaseUrl(t)
  mkdirSync(join(url.slice('file:'.length), '..', 'master.key'), { recursive: true })

  const { code, stderr } = await cli({ env: { DATABASE_URL: url } }, 'users list')

  t.equal(code, 1)
  t.match(stderr, /EISDIR[^]+ at /)
})

for (const file of globSync('cli/**/*.test.ts', { cwd: import.meta.dirname })) await import(`./${file}`)
