import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { PASSWORD, assertOver, assertRefused, auditEvents, bearer, signIn, signUp } from '../../helper.ts'
import { CLI, inTerminal, start } from '../../processes.ts'
import { startPooler } from '../pooler.ts'
import { addSessions, changeFile, cluster, contentOf, createInstallation, newDatabase, newFile, pathOf, query } from './installation.ts'
import type { Test } from 'tap'

const COPIED = /^copied and compared: \d+ rows\nSet DATABASE_URL to the new database, leave MASTER_KEY as it is, and start the service\. Nobody has to sign in again\.\nDo not start it on the old database any more: what one of them revokes is good in the other\.\n$/

/** An installation on SQLite that people have used, and that is stopped. */
async function prepare (t: Test) {
  const installation = createInstallation()
  const file = newFile(t)
  const server = await installation.serve(t, file, { ISSUER: 'https://auth.example.com' })
  const ada = await signUp(server, { username: 'ada' })
  const grace = await signUp(server, { username: 'grace' })
  await grace.inject({ method: 'POST', url: '/auth/logout' })
  await server.close()
  return { ...installation, file, ada, grace }
}

/** Copies in a process of its own, until `isEnough`, and kills it. */
async function copyUntil (t: Test, env: Record<string, string>, to: string, isEnough: () => Promise<boolean>) {
  const copying = start(t, { env, command: [...CLI, 'copy', '--to', to] })
  while (!await isEnough().catch(() => false)) await wait(1) // the schema may not be there yet
  t.equal(await copying.ends('SIGKILL'), null, 'it was killed in the midst of it')
}

t.test('copy', async (t) => {
  t.test('takes everything to PostgreSQL, where nobody has to sign in again, and back', async (t) => {
    const { cli, serve, file, ada, grace } = await prepare(t)
    addSessions(file, 4500)
    changeFile(file, "update users set name = 'O''Brien {\"x\", \\N}', disabled = 1, roles = '[\"editor\"]' where username = 'grace'")
    const content = contentOf(file)
    const [url, back] = [await newDatabase(), newFile(t)]

    t.match(await cli(file, `copy --to ${url}`), { code: 0, stderr: '', stdout: COPIED })
    t.match(await cli(url, `copy --to ${back}`), { code: 0, stderr: '', stdout: COPIED })
    t.same(contentOf(back), content)
    t.equal(statSync(pathOf(back)).mode & 0o777, 0o600)

    for (const place of [url, back]) {
      const server = await serve(t, place, { ISSUER: 'https://auth.example.com' })
      t.equal((await server.inject({ url: '/secret', headers: bearer(ada.access_token) })).statusCode, 200)
      await assertOver(t, server, grace)
      const refreshed = await server.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(ada.refresh_token) })
      t.equal(refreshed.statusCode, 200)
      t.match(await server.db.audit.verify(), { broken: undefined })
      t.equal((await signIn(server, 'ada')).user.username, 'ada')
      await server.inject({ method: 'POST', url: '/auth/logout', headers: bearer(refreshed.json().access_token) })
      const sequences = (await server.db.revocations.since(0)).map(({ sequence }) => sequence)
      t.same(sequences, sequences.map((_, i) => i + 1), 'sequences go on')
      t.ok(sequences.length > 1)
      await server.close()
    }
  })

  t.test('takes everything from one PostgreSQL to another, through a pooler', async (t) => {
    const { cli, file } = await prepare(t)
    const pooler = await startPooler(t, cluster)
    const pooled = (url: string) => pooler.url(new URL(url).pathname.slice(1))
    const [first, second, back] = [pooled(await newDatabase()), pooled(await newDatabase()), newFile(t)]

    await cli(file, `copy --to ${first}`)
    t.match(await cli(first, `copy --to ${second}`), { code: 0, stderr: '', stdout: COPIED })
    await cli(second, `copy --to ${back}`)

    t.same(contentOf(back), contentOf(file))
  })

  t.test('tells where the master key of a file is', async (t) => {
    const { cli, file } = await prepare(t)
    writeFileSync(`${dirname(pathOf(file))}/master.key`, 'it')

    const { stdout } = await cli(file, `copy --to ${await newDatabase()}`, { env: { MASTER_KEY: '' } })

    t.match(stdout, `set MASTER_KEY to what is in ${dirname(pathOf(file))}/master.key, and start the service.`)
  })

  t.test('takes events with it that wait for their place in the audit log, and says that the service runs', async (t) => {
    const { cli, serve, file, ada } = await prepare(t)
    const [url, copied] = [await newDatabase(), newFile(t)]
    await cli(file, `copy --to ${url}`)
    const server = await serve(t, url, { ISSUER: 'https://auth.example.com' })
    await server.inject({ method: 'POST', url: '/auth/logout', headers: bearer(ada.access_token) })
    const waiting = await query(url, 'select count(*)::int as count from audit_inbox')

    const { stdout } = await cli(url, `copy --to ${copied}`)

    t.match(waiting, [{ count: 1 }], 'there was one')
    t.match(stdout, /\nThe service seems to run: whatever it has revoked or written since the copy began is not in it\. /)
    const copy = await serve(t, copied)
    t.match((await auditEvents(copy)).map(({ event }) => event).slice(-2), ['logged_out', 'logged_out'])
    t.match(await copy.db.audit.verify(), { broken: undefined })
  })

  t.test('goes on after it was killed on the way to PostgreSQL; meanwhile no service starts there', async (t) => {
    const { cli, serve, settings, file } = await prepare(t)
    addSessions(file, 30_000)
    const url = await newDatabase()
    const inSessions = async () => /sessions.*after/.test(String((await query(url, "select value from service_state where name = 'COPYING'"))[0]?.value))

    await copyUntil(t, { ...settings, DATABASE_URL: file }, url, inSessions)
    const [before] = await query(url, 'select (select count(*)::int from sessions) as sessions, (select min(xmin::text) from users) as made')

    const refusal = 'The database of DATABASE_URL is a copy that is not complete. Run the command again that makes it.'
    await t.rejects(serve(t, url), { code: 'wrong_setting', message: refusal })
    t.match(await cli(url, 'users list'), { code: 1, stderr: `${refusal}\n` })
    t.match(await cli(url, `copy --to ${newFile(t)}`), { code: 1, stderr: `${refusal}\n` })
    t.match(await cli(url, 'doctor'), { code: 1, stdout: /\nfail {2}database {5}It is a copy that is not complete\. / })
    t.match(await cli((await prepare(t)).file, `copy --to ${url}`), { code: 1, stderr: /^The database is not empty, and is no copy of this one / })

    t.match(await cli(file, `copy --to ${url}`), { code: 0, stderr: '' })
    const [after] = await query(url, 'select (select count(*)::int from sessions) as sessions, (select min(xmin::text) from users) as made')
    t.ok(before?.sessions as number > 0 && before?.sessions as number < 30_001, `it had ${before?.sessions} sessions`)
    t.match(after, { sessions: 30_001, made: before?.made }, 'and what was there stayed')
    const back = newFile(t)
    await cli(url, `copy --to ${back}`)
    t.same(contentOf(back), contentOf(file))
  })

  t.test('goes on after it was killed on the way to SQLite; meanwhile no service starts there', async (t) => {
    const { cli, serve, settings, file } = await prepare(t)
    addSessions(file, 30_000)
    const [url, back] = [await newDatabase(), newFile(t)]
    await cli(file, `copy --to ${url}`)
    const isLarge = async () => statSync(pathOf(back)).size > 2 ** 20 // with some thousands of them

    await copyUntil(t, { ...settings, DATABASE_URL: url }, back, isLarge)
    const { ino } = statSync(pathOf(back))

    await t.rejects(serve(t, back), { message: /is a copy that is not complete/ })
    t.match(await cli(back, 'doctor'), { code: 1, stdout: /\nfail {2}database {5}It is a copy that is not complete\. / })
    t.match(await cli(url, `copy --to ${back}`), { code: 0, stderr: '' })
    t.equal(statSync(pathOf(back)).ino, ino, 'and what was there stayed')
    t.same(contentOf(back), contentOf(file))
  })

  t.test('begins anew when its source has changed since it was killed', async (t) => {
    const { cli, serve, settings, file } = await prepare(t)
    addSessions(file, 30_000)
    const [url, back] = [await newDatabase(), newFile(t)]
    const hasUsers = async () => (await query(url, 'select from users')).length > 0
    await copyUntil(t, { ...settings, DATABASE_URL: file }, url, hasUsers)
    const server = await serve(t, file)
    await signUp(server, { username: 'bea' })
    await server.close()

    t.match(await cli(file, `copy --to ${url}`), { code: 0, stderr: '' })

    await cli(url, `copy --to ${back}`)
    t.same(contentOf(back), contentOf(file))
  })

  t.test('is not done when the copy differs, and begins anew then', async (t) => {
    const { cli, settings, file } = await prepare(t)
    addSessions(file, 30_000)
    const [url, back] = [await newDatabase(), newFile(t)]
    await query(url, 'select 1')
    const hasUsers = async () => (await query(url, 'select from users')).length > 0
    await copyUntil(t, { ...settings, DATABASE_URL: file }, url, hasUsers)
    await query(url, "create function forge() returns trigger language plpgsql as $$ begin update users set name = 'Eve'; return null; end $$")
    await query(url, 'create trigger forge after insert on audit_events for each statement execute function forge()')
    await query(url, 'alter table audit_events enable always trigger forge')

    t.match(await cli(file, `copy --to ${url}`), { code: 1, stdout: '', stderr: 'The copy is not done: "users" differs from its source. Run the command again.\n' })
    await query(url, 'drop trigger forge on audit_events')
    t.match(await cli(file, `copy --to ${url}`), { code: 0, stderr: '' })

    await cli(url, `copy --to ${back}`)
    t.same(contentOf(back), contentOf(file))
  })

  t.test('shows its progress in a terminal', async (t) => {
    const { settings, file } = await prepare(t)
    addSessions(file, 20_000)
    const env = { ...settings, DATABASE_URL: file }
    const terminal = start(t, { env, command: inTerminal([...CLI, 'copy', '--to', await newDatabase()]) })

    const shown = (await terminal.asks()).replaceAll('\r\u001b[K', '|')

    t.match(shown, /\|copied [\d,]+ of 20,0\d\d rows[^]*\|compared [\d,]+ of 20,0\d\d rows[^]*\|copied and compared: 20\d+ rows\r\n/)
  })

  t.test('refuses what is no empty database, and what is in use', async (t) => {
    const { cli, serve, file } = await prepare(t)
    const [used, foreign, empty, other] = [await newDatabase(), await newDatabase(), await newDatabase(), newFile(t)]
    await query(foreign, 'create table notes (id int)')
    await (await serve(t, used)).close()
    writeFileSync(pathOf(other), 'something else')
    const refusals: Array<[from: string, to: string, sentence: RegExp]> = [
      [file, used, /^The database is not empty, and is no copy of this one that could go on\. Name an empty database\.\n$/],
      [file, foreign, /^The database is not empty, /],
      [used, used, /^The database is not empty, /],
      [file, file, /postern\.db is there already, and is no copy of this database that could go on\. Name a new file\.\n$/],
      [file, other, /postern\.db cannot be used \(file is not a database\)\. Name a new file\.\n$/],
      [file, 'file::memory:', /^A database in memory cannot be copied\.\n$/],
      [file, 'mysql://root:geheim@127.0.0.1/x', /^--to is set \(31 bytes\) but should be file: and a path without a question mark, or postgres:/],
      [file, 'postgres://root:geheim@127.0.0.1:1/x', /^The database of --to cannot be used \(connect ECONNREFUSED 127\.0\.0\.1:1\)\.\n$/],
      [file, 'postgres://root:geheim@127.0.0.1:1/x?options=y', /^--to has the parameter "options": /],
      ['postgres://root:geheim@127.0.0.1:1/x', newFile(t), /^The database of DATABASE_URL cannot be used \(connect ECONNREFUSED 127\.0\.0\.1:1\)\.\n$/],
      ['file::memory:', empty, /^DATABASE_URL is a database in memory: there is no file\.\n$/],
      [newFile(t), empty, /^There is no database \S+\. Start the service once, /],
      [other, empty, /^\S+ is damaged \(file is not a database\)\. Restore a backup\.\n$/],
      [foreign, newFile(t), /^The database of DATABASE_URL is no database of Postern\. /],
      [empty, newFile(t), /^The database is empty\. Start the service once\.\n$/]
    ]

    for (const [from, to, sentence] of refusals) {
      const { code, stdout, stderr } = await cli(from, `copy --to ${to}`)
      t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: sentence })
      t.notMatch(stderr, /geheim/)
    }
    await serve(t, file)
    t.match(await cli(file, `copy --to ${empty}`), { code: 1, stderr: /postern\.db is in use\. Stop the service\.\n$/ })
    t.same(await query(empty, "select tablename from pg_tables where schemaname = 'public'"), [], 'and nothing was made')
  })

  t.test('refuses a file that another process copies into', async (t) => {
    const { cli, file } = await prepare(t)
    const to = newFile(t)
    mkdirSync(dirname(pathOf(to)), { recursive: true })
    const other = new Client(pathOf(to))
    other.exec('begin exclusive; create table x (id)')

    t.match(await cli(file, `copy --to ${to}`), { code: 1, stderr: `${pathOf(to)} is in use.\n` })

    other.close()
    t.ok(existsSync(pathOf(to)))
  })

  t.test('names the table of a text that PostgreSQL cannot store', async (t) => {
    const { cli, file } = await prepare(t)
    changeFile(file, "update users set name = 'a' || char(0) where username = 'ada'")

    t.match(await cli(file, `copy --to ${await newDatabase()}`), {
      code: 1,
      stderr: 'A text in "users" has the character U+0000, which PostgreSQL cannot store. Change it in the old database, and copy again.\n'
    })
  })
})

t.test('A command on PostgreSQL', async (t) => {
  t.test('before the first start makes the database and its keys, which the service then uses', async (t) => {
    const { cli, serve } = createInstallation()
    const url = await newDatabase()

    t.match(await cli(url, 'users list'), { code: 1, stderr: 'The database is empty. Start the service once.\n' })
    t.match(await cli(url, 'users create --username ada', { input: PASSWORD }), { code: 0, stderr: '' })
    t.match(await cli(url, 'users create --username ada', { input: PASSWORD }), { code: 1, stderr: 'This username is taken. Choose another.\n' })

    t.equal((await signIn(await serve(t, url), 'ada')).user.username, 'ada')
  })

  t.test('goes by the settings of the service, and what it does holds at once', async (t) => {
    const { cli, serve } = createInstallation()
    const url = await newDatabase()
    const server = await serve(t, url, { ISSUER: 'https://auth.example.com' })
    const ada = await signUp(server, { username: 'ada' })

    t.same(await cli(url, 'why', { input: ada.access_token }), { code: 0, stdout: 'good\tThe token is good.\n', stderr: '' })
    t.same(await cli(url, 'sessions end ada'), { code: 0, stdout: 'sessions ended: 1\n', stderr: '' })
    assertRefused(t, await server.inject({ url: '/secret', headers: bearer(ada.access_token) }), 401, 'token_revoked')

    const { stdout } = await cli(url, `why ${ada.access_token}`)
    t.match(stdout, /^session_over\tThe session of the token is over: logged_out, by cli, at /)
    t.match(await query(url, 'select count(*)::int as count from instances'), [{ count: 1 }], 'and leaves the registry again')
  })

  t.test('needs MASTER_KEY, and names no URL in what it refuses', async (t) => {
    const { cli } = createInstallation()
    const url = await newDatabase()
    const unreachable = 'postgres://root:geheim@127.0.0.1:1/x'

    t.match(await cli(url, 'users create --username ada', { input: PASSWORD, env: { MASTER_KEY: '' } }), { code: 1, stderr: /^MASTER_KEY must be set with a PostgreSQL database/ })
    for (const words of ['users list', 'users create --username ada', 'backup /tmp/never.db', 'restored', 'keys rotate', 'doctor']) {
      const { code, stdout, stderr } = await cli(unreachable, words, { input: PASSWORD })
      t.equal(code, 1, words)
      t.match(stdout + stderr, /cannot be used \(connect ECONNREFUSED 127\.0\.0\.1:1\)\./, words)
      t.notMatch(stdout + stderr, /geheim|root/, words)
    }
  })
})
