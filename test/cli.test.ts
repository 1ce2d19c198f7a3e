import { globSync } from 'node:fs'
import Client from 'better-sqlite3'
import t from 'tap'
import { toColumns } from '../plugins/accounts/canonical-names.ts'
import { NO_HOLD, PASSWORD, assertOver, auditEvents, build, databaseUrl, signIn, signUp, signUpAdmin } from './helper.ts'
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
    t.match(stdout, /^[\w-]{22}\t-\troot@example\.com\tadmin\tactive\t20\S+Z\tRoot\nmade\n$/)
    t.match((await signIn(server, 'root@example.com')).user, { name: 'Root', roles: ['admin'] })
  })

  t.test('asks twice for the password in a terminal, does not show it, and prints columns with heads', async (t) => {
    const { server, env } = await buildWithCli(t)
    const terminal = start(t, { env, command: inTerminal([...CLI, 'users', 'create', '--username', 'ada']) })

    const shown = await terminal.asks(['Password: ', `${PASSWORD}\r`], ['The same again: ', `${PASSWORD}\r`])

    t.equal(await terminal.ends(), 0)
    t.match(shown, /^Password: \r\nThe same again: \r\nID {22}USERNAME {2}E-MAIL {2}ROLES {2}STATE {3}MADE {22}NAME\r\n[\w-]{22} {2}ada {7}- {7}- {6}active {2}\S+ {2}-\r\nmade\r\n$/)
    t.equal((await signIn(server, 'ada')).user.username, 'ada')
  })

  t.test('makes no account when the two passwords are not the same', async (t) => {
    const { server, env } = await buildWithCli(t)
    const terminal = start(t, { env, command: inTerminal([...CLI, 'users', 'create', '--username', 'ada']) })

    const shown = await terminal.asks(['Password: ', `${PASSWORD}\r`], ['The same again: ', `${PASSWORD}!\r`])

    t.equal(await terminal.ends(), 1)
    t.match(shown, /\r\nThe two passwords are not the same, so nothing was done\.\r\n$/)
    t.same(await server.db.users.list({ limit: 1 }), [])
  })

  t.test('before the first start makes the database and its keys, which the service then uses', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t), JWT_ALGORITHM: 'RS256' }

    const { code, stderr } = await cli({ env, input: PASSWORD }, 'users create --username ada')
    const server = await build(t, { env })

    t.same({ code, stderr }, { code: 0, stderr: '' })
    t.equal((await signIn(server, 'ada')).user.username, 'ada')
    t.same(server.signingKeys.all().map(({ algorithm }) => algorithm), ['RS256'])
  })

  t.test('does nothing after Ctrl-C', async (t) => {
    const terminal = start(t, { command: inTerminal([...CLI, 'users', 'create', '--username', 'ada']) })

    const shown = await terminal.asks(['Password: ', '\u0003'])

    t.equal(await terminal.ends(), 1)
    t.equal(shown, 'Password: \r\nNo password was given, so nothing was done.\r\n')
  })
})

t.test('users list', async (t) => {
  t.test('prints every account, over more than a page, in the order in which they were made', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const names = Array.from({ length: MOST_ON_A_PAGE + 1 }, (_, i) => `user${i}`)
    await Promise.all(names.map((username, i) => server.db.users.add({ id: `id${i}`, ...toColumns({ username }), passwordHash: '-', roles: [], createdAt: i })))
    await server.db.users.update('id1', { disabled: true }, NO_HOLD)

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

t.test('users show prints an account', async (t) => {
  const { server, cli } = await buildWithCli(t)
  const { user } = await signUp(server, { username: 'ada', email: 'ada@example.com' })

  t.same(await cli('users show ada'), { code: 0, stdout: `${user.id}\tada\tada@example.com\t-\tactive\t${user.created_at}\t-\n`, stderr: '' })
})

t.test('users password', async (t) => {
  t.test('sets a new password, and ends every session of the account', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const ada = await signUp(server, { username: 'ada' })
    const grace = await signUp(server)

    t.same(await cli('users password ada', 'violet harbor lantern'), { code: 0, stdout: 'changed\n', stderr: '' })

    await assertOver(t, server, ada)
    t.equal((await grace.inject({ url: '/secret' })).statusCode, 200)
    t.equal((await signIn(server, 'ada', 'violet harbor lantern')).user.id, ada.user.id)
    await t.rejects(signIn(server, 'ada'), /invalid_credentials/)
    t.match(await auditEvents(server), [{}, {}, { event: 'password_changed', actorKind: 'cli', subject: ada.user.id, outcome: 'done' }])
  })

  t.test('makes one with --generate, and says that it should be changed', async (t) => {
    const { server, cli } = await buildWithCli(t)
    await signUp(server, { username: 'ada' })

    const { code, stdout } = await cli('users password ada --generate')

    const [, password = ''] = /^password\t(\S{20})\nchanged; its owner should sign in and change it again\n$/.exec(stdout) ?? []
    t.equal(code, 0)
    t.equal((await signIn(server, 'ada', password)).user.username, 'ada')
  })

  t.test('leaves an account alone that was deleted while the password was hashed', async (t) => {
    const { server } = await buildWithCli(t)
    await signUp(server, { username: 'ada' })
    const user = (await server.accounts.findByLogin('ada'))! // she has just signed up
    await server.accounts.remove(user.id, 'cli')

    await t.rejects(server.operator.setPassword(user, 'violet harbor lantern', 'cli'), { code: 'not_found' })
  })
})

t.test('users roles', async (t) => {
  t.test('sets the roles of an account, and ends its sessions', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const ada = await signUp(server, { username: 'ada' })

    t.same(await cli('users roles ada admin editor'), { code: 0, stdout: 'roles\tadmin,editor\n', stderr: '' })

    await assertOver(t, server, ada)
    const admin = await signIn(server, 'ada')
    t.same(admin.user.roles, ['admin', 'editor'])
    t.equal((await admin.inject({ url: '/users' })).statusCode, 200)
  })

  t.test('takes them all with --none, and the account as an option too', async (t) => {
    const { server, cli } = await buildWithCli(t)
    await signUp(server, { username: 'ada' })

    t.equal((await cli('users roles --user ada editor')).stdout, 'roles\teditor\n')
    t.equal((await cli('users roles ada --none')).stdout, 'roles\t-\n')

    t.same((await signIn(server, 'ada')).user.roles, [])
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

t.test('sessions end --all', async (t) => {
  t.test('ends the sessions of everybody in the running service, more than one transaction takes', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const people = await Promise.all(Array.from({ length: 7 }, () => signUp(server)))
    const request = { ip: '127.0.0.1', headers: {}, log: server.log } as FastifyRequest
    for (const user of await server.db.users.list({ limit: 7 })) {
      await Promise.all(Array.from({ length: 90 }, () => server.sessions.start(user, request)))
    }

    t.same(await cli('sessions end --all'), { code: 0, stdout: 'sessions ended: 637\n', stderr: '' })

    for (const person of people) await assertOver(t, server, person)
    t.match((await auditEvents(server)).filter(({ event }) => event === 'all_sessions_ended').map(({ details }) => details), [{ sessions: 500 }, { sessions: 137 }])
    t.match((await cli(`why ${people[0]!.access_token}`)).stdout, /^session_over\tThe session of the token is over: all_sessions_ended, by cli, at /)
    t.equal((await (await signIn(server, people[0]!.user.username)).inject({ url: '/secret' })).statusCode, 200)
    t.same(await cli('sessions end --all'), { code: 0, stdout: 'sessions ended: 1\n', stderr: '' })
    t.same(await cli('sessions end --all'), { code: 0, stdout: 'sessions ended: 0\n', stderr: '' })
  })
})

t.test('a command that is refused ends with 1 and one sentence, and changes nothing', async (t) => {
  const { server, cli } = await buildWithCli(t)
  await signUpAdmin(server, 'root')
  const before = await server.db.users.list({ limit: MOST_ON_A_PAGE })

  const commands: Array<[words: string, sentence: string, password?: string]> = [
    ['users create', 'Give --username, --email or both.'],
    ['users create --username ROOT', 'This username is taken. Choose another.'],
    ['users create ada', 'error: too many arguments for \'create\'. Expected 0 arguments but got 1: ada.\nDid you leave out the "--"? For example: npm run cli -- users create --username ada'],
    ['users create --username ada', 'This password is easy to guess. Choose another.', 'password123'],
    ['users create --username ada', 'No password was given, so nothing was done.', ''],
    [`users create --username ${'a'.repeat(65)}`, 'The username must not have more than 64 characters.'],
    ['users create --email ada@', 'The email has characters that are not allowed in one. Allowed: an e-mail address of any script; case does not matter.'],
    ['users create --username ada --role Boss', 'The role has characters that are not allowed in one. Allowed: lower-case letters, digits, _ and -, 32 at most, the first of them a letter.'],
    ['users disable root', 'This is the last administrator. Make another one first.'],
    ['users delete ada', 'There is no account "ada".'],
    ['users delete ada --user bea', 'Name one account: as an argument or with --user, not both.'],
    ['sessions end', 'Name the account: give an id, a username or an e-mail address.'],
    ['sessions end --all root', 'Name an account or --all, not both.'],
    ['users password root', 'This password is easy to guess. Choose another.', 'password123'],
    ['users password root', 'No password was given, so nothing was done.', ''],
    ['users password nobody', 'There is no account "nobody".'],
    ['users roles root editor', 'This is the last administrator. Make another one first.'],
    ['users roles root Boss', 'The role has characters that are not allowed in one. Allowed: lower-case letters, digits, _ and -, 32 at most, the first of them a letter.'],
    ['users roles root', 'Name the roles that the account should have, or --none.'],
    ['users roles root editor --none', 'Name the roles that the account should have, or --none.'],
    ['users roles', 'Name the account: give an id, a username or an e-mail address.'],
    ['users delete-all', 'error: required option \'--yes\' not specified']
  ]
  await Promise.all(commands.map(async ([words, sentence, password]) => {
    t.same(await cli(words, password), { code: 1, stdout: '', stderr: `${sentence}\n` }, words)
  }))

  t.same(await server.db.users.list({ limit: MOST_ON_A_PAGE }), before)
})

t.test('an id that somebody else has taken as a username names neither account', async (t) => {
  const { server, cli } = await buildWithCli(t)
  let { user: { id } } = await signUp(server)
  while (!/^[a-z0-9]/i.test(id)) ({ user: { id } } = await signUp(server)) // usernames begin so, ids need not
  await signUp(server, { username: id })

  t.same(await cli(`users disable ${id}`), { code: 1, stdout: '', stderr: `"${id}" is the id of one account and the username of another. Name it in another way.\n` })
})

t.test('--help lists every command on standard output, and --version prints the version', async (t) => {
  const [help, version] = [await cli({}, '--help'), await cli({}, '--version')]

  for (const { code, stderr } of [help, version]) t.same({ code, stderr }, { code: 0, stderr: '' })
  for (const command of ['users', 'sessions', 'clients', 'keys', 'audit', 'why', 'backup', 'restore', 'restored', 'copy', 'doctor']) t.match(help.stdout, new RegExp(`^  ${command} .*\\S$`, 'm'))
  t.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
})

t.test('a wrong setting is named, from .env too', async (t) => {
  const cwd = t.testdir({ '.env': 'AUDIENCE=two words' })

  t.same(await run([...CLI, 'users', 'list'], { cwd }), { code: 1, stdout: '', stderr: 'AUDIENCE is "two words" but should be a name without spaces for who accepts the access tokens.\n' })
})

t.test('an unexpected error is printed with its stack', async (t) => {
  const { server, cli } = await buildWithCli(t)
  await signUp(server)
  const client = new Client(server.db.file)
  client.exec('update users set created_at = 9e15')
  client.close()

  const { code, stderr } = await cli('users list')

  t.equal(code, 1)
  t.match(stderr, /RangeError: [^]+ at /)
})

for (const file of globSync('cli/**/*.test.ts', { cwd: import.meta.dirname })) await import(`./${file}`)
