import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Client from 'better-sqlite3'
import t from 'tap'
import { copyName } from '../../plugins/core/database.ts'
import { assertRefused, auditEvents, bearer, build, signIn, signUp } from '../helper.ts'
import { CLI, cli, inTerminal, start } from '../processes.ts'
import type { Test } from 'tap'

function change (path: string, ...statements: string[]) {
  const client = new Client(path)
  for (const statement of statements) client.exec(statement)
  client.close()
}

/** The first column of the rows that a query finds. */
function query (path: string, sql: string): unknown[] {
  const client = new Client(path, { readonly: true })
  const found = client.prepare(sql).pluck().all()
  client.close()
  return found
}

/** An installation in a folder, which somebody has used, and the place of another one. */
async function prepare (t: Test) {
  const root = t.testdir()
  const [file, other] = [join(root, 'data', 'postern.db'), join(root, 'other', 'postern.db')]
  const env = { DATABASE_URL: `file:${file}` }
  const server = await build(t, { env })
  const ada = await signUp(server, { username: 'ada' })
  return { env, file, other, server, ada }
}

t.test('copy makes a file with all that there is, in which people stay signed in', async (t) => {
  const { env, file, other, server, ada } = await prepare(t)

  t.match(await cli({ env }, `copy --to file:${other}`), { code: 1, stdout: '', stderr: `${file} is in use. Stop the service.\n` })
  await server.close()
  const { code, stdout, stderr } = await cli({ env }, `copy --to file:${other}`)

  t.same({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^copied and compared: \d+ rows\nSet DATABASE_URL to the new database, set MASTER_KEY to what is in \S+\/data\/master\.key, and start the service\. Nobody has to sign in again\.\n/)
  t.equal(statSync(other).mode & 0o777, 0o600)
  copyFileSync(join(dirname(file), 'master.key'), join(dirname(other), 'master.key'))
  const copy = await build(t, { env: { DATABASE_URL: `file:${other}` } })
  t.equal((await copy.inject({ url: '/secret', headers: bearer(ada.access_token) })).statusCode, 200)
  t.equal((await copy.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(ada.refresh_token) })).statusCode, 200)
  t.match(await copy.db.audit.verify(), { broken: undefined })
})

t.test('copy that was interrupted', async (t) => {
  const EVENT = "insert into audit_events (sequence, at, event, outcome, actor_kind, hash) select max(sequence) + 1, 1, 'signed_in', 'done', 'service', zeroblob(32) from audit_events"

  /** Makes a copy, and of it one that was interrupted before the last event. */
  async function interrupt (t: Test) {
    const { env, file, other, server } = await prepare(t)
    await server.close()
    const copy = () => cli({ env }, `copy --to file:${other}`)
    await copy()
    const mark = JSON.stringify({ source: copyName(`file:${file}`), table: 'audit_events', after: [1] })
    change(other, `insert into service_state values ('COPYING', '${mark}', 1)`, 'pragma user_version = 7') // the number tells this file from another
    change(file, EVENT)
    return { copy, other }
  }

  t.test('goes on where it was', async (t) => {
    const { copy, other } = await interrupt(t)

    t.match(await copy(), { code: 0, stdout: /^copied and compared: / })

    t.same(query(other, 'pragma user_version'), [7])
    t.same(query(other, 'select sequence from audit_events'), [1, 2])
    t.same(query(other, "select name from service_state where name = 'COPYING'"), [])
  })

  t.test('begins anew when what it had differs', async (t) => {
    const { copy, other } = await interrupt(t)
    change(other, "update users set name = 'Ada'")

    t.match(await copy(), { code: 0, stdout: /^copied and compared: / })

    t.same(query(other, 'pragma user_version'), [0])
    t.same(query(other, 'select name from users'), [null])
  })

  t.test('is not done while there is something else in it', async (t) => {
    const { copy, other } = await interrupt(t)
    change(other, EVENT, EVENT, "update service_state set value = replace(value, '[1]', '[2]') where name = 'COPYING'")

    t.same(await copy(), { code: 1, stdout: '', stderr: 'The copy is not done: "audit_events" differs from its source. Run the command again.\n' })

    t.same(query(other, "select name from service_state where name = 'COPYING'"), ['COPYING'])
  })
})

t.test('copy refuses', async (t) => {
  const { env, file, other, server } = await prepare(t)
  await server.close()
  const refusal = async (to: string) => {
    const { code, stdout, stderr } = await cli({ env }, `copy --to ${to}`)
    t.same({ code, stdout }, { code: 1, stdout: '' })
    return stderr.trimEnd()
  }
  mkdirSync(dirname(other))

  t.test('a target that is none', async (t) => {
    t.match(await refusal('nowhere'), /^--to is set \(7 bytes\) but should be /)
    t.equal(await refusal('file::memory:'), 'A database in memory cannot be copied.')
  })

  t.test('a file that holds anything', async (t) => {
    t.match(await refusal(`file:${file}`), /^\S+postern\.db is there already, and is no copy of this database that could go on\. Name a new file\.$/)
    writeFileSync(other, 'something else altogether')
    t.match(await refusal(`file:${other}`), /^\S+postern\.db cannot be used \(file is not a database\)\. Name a new file\.$/)
    t.equal(readFileSync(other, 'utf8'), 'something else altogether')
  })

  t.test('a file that is in use', async (t) => {
    rmSync(other)
    const client = new Client(other)
    client.exec('create table notes (id); begin exclusive')

    t.equal(await refusal(`file:${other}`), `${other} is in use.`)
    client.close()
  })

  t.test('to copy what is damaged', async (t) => {
    const damaged = join(dirname(file), 'damaged.db')
    writeFileSync(damaged, 'something else altogether')

    const { code, stderr } = await cli({ env: { DATABASE_URL: `file:${damaged}` } }, `copy --to file:${other}.copy`)

    t.equal(code, 1)
    t.equal(stderr, `${damaged} is damaged (file is not a database). Restore a backup.\n`)
  })
})

t.test('copy shows its progress in a terminal', async (t) => {
  const { env, other, server } = await prepare(t)
  await server.close()
  const terminal = start(t, { env, command: inTerminal([...CLI, 'copy', '--to', `file:${other}`]) })

  t.equal(await terminal.ends(), 0)
  t.match(terminal.lines().join('\n'), /copied \d+ of \d+ rows.*compared \d+ of \d+ rows/s)
})

t.test('A copy that is not complete', async (t) => {
  const { env, file, server } = await prepare(t)
  await server.close()
  change(file, "insert into service_state values ('COPYING', '{}', 1)")
  const refusal = 'The database of DATABASE_URL is a copy that is not complete. Run the command again that makes it.'

  t.test('is refused by the service and by commands', async (t) => {
    await t.rejects(build(t, { env }), { code: 'wrong_setting', message: refusal })
    t.match(await cli({ env }, 'users list'), { code: 1, stderr: `${refusal}\n` })
    t.match(await cli({ env }, `copy --to file:${file}.copy`), { code: 1, stderr: `${refusal}\n` })
  })

  t.test('is found by the doctor', async (t) => {
    t.match(await cli({ env }, 'doctor'), { code: 1, stdout: /\nfail {2}database {5}It is a copy that is not complete\. / })
  })
})

t.test('restored', async (t) => {
  t.test('ends what was issued before a restore by other means', async (t) => {
    const { env, server, ada } = await prepare(t)
    const kids = server.signingKeys.all().map(({ kid }) => kid)
    await server.close()

    t.same(await cli({ env }, 'restored'), { code: 0, stdout: 'Sessions ended: 1. Everybody must sign in again.\n', stderr: '' })

    const restored = await build(t, { env })
    assertRefused(t, await restored.inject({ url: '/secret', headers: bearer(ada.access_token) }), 401, 'invalid_token')
    assertRefused(t, await restored.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(ada.refresh_token) }), 401, 'token_revoked')
    t.equal((await (await signIn(restored, 'ada')).inject({ url: '/secret' })).statusCode, 200)
    t.same((await auditEvents(restored)).filter(({ actorKind }) => actorKind === 'cli').map(({ event }) => event), ['restored', ...kids.map(() => 'key_revoked')])
    t.ok((await restored.db.revocations.since(0)).every(({ sequence }) => sequence > Date.now() - 60_000), 'followers of the feed miss nothing')
  })

  t.test('is refused where nothing was restored', async (t) => {
    const file = join(t.testdir(), 'data', 'postern.db')
    const env = { DATABASE_URL: `file:${file}` }

    t.match(await cli({ env }, 'restored'), { code: 1, stderr: /^There is no database \S+\. / })
    mkdirSync(dirname(file))
    change(file)
    t.match(await cli({ env }, 'restored'), { code: 1, stderr: 'The database of DATABASE_URL is empty: there is nothing that was restored.\n' })
  })
})
