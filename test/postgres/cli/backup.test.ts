import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Client from 'better-sqlite3'
import t from 'tap'
import { inspect } from '../../../db/sqlite/inspect.ts'
import { readMigrations } from '../../../db/migrations.ts'
import { PASSWORD, assertRefused, auditEvents, bearer, claimsOf, signIn, signUp } from '../../helper.ts'
import { changeFile, contentOf, createInstallation, newDatabase, newFile, pathOf, query } from './installation.ts'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

interface Tokens { access_token: string, refresh_token: string }

async function assertDead (t: Test, server: FastifyInstance, { access_token: accessToken, refresh_token: refreshToken }: Tokens) {
  assertRefused(t, await server.inject({ url: '/secret', headers: bearer(accessToken) }), 401, 'invalid_token')
  assertRefused(t, await server.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(refreshToken) }), 401, 'token_revoked')
}

/** A service on PostgreSQL that was backed up while it ran, and has gone on since: grace came, ada left, a token was revoked. */
async function prepare (t: Test) {
  const installation = createInstallation()
  const [url, file] = [await newDatabase(), newFile(t)]
  const backup = join(dirname(pathOf(file)), 'backup.db')
  const server = await installation.serve(t, url)
  const ada = await signUp(server, { username: 'ada' })

  const made = await installation.cli(url, `backup ${backup}`)
  const grace = await signUp(server, { username: 'grace' })
  await ada.inject({ method: 'POST', url: '/auth/logout' })
  for (let i = 0; i < 9; i++) await server.db.revocations.add(`jti${i}`, Date.now() + 60_000)
  const cursor = (await server.db.revocations.since(0)).at(-1)!.sequence
  const kids = server.signingKeys.all().map(({ kid }) => kid)
  const lists = await server.db.statusLists.live(0)
  await server.close()
  return { ...installation, url, file, backup, made, ada, grace, cursor, kids, lists }
}

/** Asserts that a restored service knows ada and not grace, and that nothing that was issued before is good. */
async function assertRestored (t: Test, server: FastifyInstance, { ada, grace, cursor, kids, lists }: Awaited<ReturnType<typeof prepare>>) {
  const again = await signIn(server, 'ada')
  t.equal((await again.inject({ url: '/secret' })).statusCode, 200)
  assertRefused(t, await server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'grace', password: PASSWORD } }), 401, 'invalid_credentials')
  for (const tokens of [ada, grace]) await assertDead(t, server, tokens)

  const seen = await server.db.revocations.since(cursor) // by a follower of the feed, who has seen everything before
  t.same(seen.filter(({ kind }) => kind === 'kid').map(({ revokedId }) => revokedId), kids)
  t.equal(seen.filter(({ kind }) => kind === 'sid').length, 1)
  t.notOk(lists.some((list) => claimsOf(again.access_token).status.status_list.uri.endsWith(list)), 'a token has no place that another may have had')
  t.same((await auditEvents(server)).filter(({ actorKind }) => actorKind === 'cli').map(({ event }) => event), ['restored', ...kids.map(() => 'key_revoked')])
  t.match(await server.db.audit.verify(), { broken: undefined })
}

t.test('backup and restore of PostgreSQL', async (t) => {
  t.test('make a SQLite file while the service runs, and fill an empty PostgreSQL database with it', async (t) => {
    const past = await prepare(t)
    const { backup, cli, made, serve } = past
    const url = await newDatabase()

    t.same(made, { code: 0, stderr: '', stdout: `${backup} is complete.\nIt is useless without the master key. Keep MASTER_KEY too, in another place.\n` })
    t.equal(statSync(backup).mode & 0o777, 0o600)
    t.match(inspect(backup), { faults: [], version: 'current' })
    t.same(readdirSync(dirname(backup)), ['backup.db'])
    t.same(await cli(url, `restore ${backup}`), { code: 0, stderr: '', stdout: 'The database is restored. Start the service.\nSessions ended: 1. Everybody must sign in again.\n' })
    await assertRestored(t, await serve(t, url), past)
  })

  t.test('restore a backup of PostgreSQL to SQLite, and one of SQLite to PostgreSQL', async (t) => {
    const past = await prepare(t)
    const { backup, cli, file, serve } = past
    const [again, url] = [join(dirname(backup), 'again.db'), await newDatabase()]

    t.match(await cli(file, `restore ${backup} --keep-sessions`), { code: 0, stderr: '', stdout: `${pathOf(file)} is restored. Start the service.\n` })
    t.match(await cli(file, `backup ${again}`), { code: 0, stderr: '' })
    t.match(await cli(file, `restore ${backup}`), { code: 0, stderr: '', stdout: /\nSessions ended: 1\. Everybody must sign in again\.\n$/ })
    await assertRestored(t, await serve(t, file), past)

    t.match(await cli(url, `restore ${again} --keep-sessions`), { code: 0, stderr: '', stdout: 'The database is restored. Start the service.\n' })
    const server = await serve(t, url)
    t.equal((await server.inject({ url: '/secret', headers: bearer(past.ada.access_token) })).statusCode, 200)
    t.equal((await server.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(past.ada.refresh_token) })).statusCode, 200)
  })

  t.test('need no right but to read, and write nothing to the database', async (t) => {
    const { backup, cli, url } = await prepare(t)
    const other = join(dirname(backup), 'other.db')
    await query(url, 'create role reader login')
    await query(url, 'grant select on all tables in schema public to reader')
    const reader = Object.assign(new URL(url), { username: 'reader' }).href

    t.match(await cli(reader, `backup ${other}`), { code: 0, stderr: '' })

    t.match(inspect(other), { faults: [], version: 'current' })
  })

  t.test('bring an older backup up to date', async (t) => {
    const { cli, serve } = createInstallation()
    const [url, old] = [await newDatabase(), newFile(t)]
    const [first] = readMigrations('sqlite')
    changeFile(old, ...first!.sql, 'create table __drizzle_migrations (id integer primary key, hash text not null, created_at integer not null) strict', `insert into __drizzle_migrations (hash, created_at) values ('${first!.hash}', ${first!.folderMillis})`) // there is one at least

    t.match(await cli(url, `restore ${pathOf(old)}`), { code: 0, stderr: '' })

    t.equal((await signUp(await serve(t, url), { username: 'ada' })).user.username, 'ada')
  })

  t.test('refuse, and leave everything as it was', async (t) => {
    const { backup, cli, kids, url } = await prepare(t)
    const empty = await newDatabase()
    const foreign = join(dirname(backup), 'foreign.db')
    new Client(foreign).exec('create table users (id)').close()
    const torn = join(dirname(backup), 'torn.db')
    writeFileSync(torn, 'no database')
    const before = contentOf(`file:${backup}`)

    t.match(await cli(url, `restore ${backup}`), { code: 1, stderr: /^The database is not empty, / })
    t.match(await cli(url, `backup ${backup}`), { code: 1, stderr: `${backup} was not made: there is such a file already, so name a new one.\n` })
    t.match(await cli(url, `backup ${join(dirname(backup), 'none', 'x.db')}`), { code: 1, stderr: /^There is no folder / })
    t.match(await cli(empty, `backup ${join(dirname(backup), 'x.db')}`), { code: 1, stderr: 'The database is empty. Start the service once.\n' })
    t.match(await cli(empty, `restore ${join(dirname(backup), 'none.db')}`), { code: 1, stderr: /^There is no file / })
    t.match(await cli(empty, `restore ${foreign}`), { code: 1, stderr: /is no database of Postern\.\n$/ })
    t.match(await cli(empty, `restore ${torn}`), { code: 1, stderr: /is damaged/ })
    t.match(await cli(empty, `restore ${backup}`, { env: { MASTER_KEY: '' } }), { code: 1, stderr: 'The master key of the backup is missing. Set MASTER_KEY.\n' })
    t.match(await cli(empty, `restore ${backup}`, { env: { MASTER_KEY: Buffer.alloc(32).toString('base64') } }), { code: 1, stderr: /is not the key of this database/ })

    t.same(contentOf(`file:${backup}`), before)
    t.same(readdirSync(dirname(backup)).sort(), ['backup.db', 'foreign.db', 'torn.db'])
    t.same(await query(empty, "select tablename from pg_tables where schemaname = 'public'"), [])
    t.match(await query(url, 'select kid from signing_keys'), kids.map((kid) => ({ kid })))
    t.notOk(existsSync(`${backup}.partial`))
  })
})

t.test('restored', async (t) => {
  t.test('ends on PostgreSQL what was issued before, though instances are registered that are no more', async (t) => {
    const past = await prepare(t)
    const { backup, cli, serve } = past
    const url = await newDatabase()
    await cli(url, `restore ${backup} --keep-sessions`) // as pg_restore would leave it, but for an event
    await query(url, "insert into instances (id, beat, known, lease) values ('no more', 7, 0, 1000)")

    t.same(await cli(url, 'restored'), { code: 0, stderr: '', stdout: 'Sessions ended: 1. Everybody must sign in again.\n' })

    const server = await serve(t, url)
    await assertDead(t, server, past.ada)
    t.match((await auditEvents(server)).map(({ event }) => event).slice(-2), ['restored', 'key_revoked'])
    const again = await signIn(server, 'ada')
    t.equal((await again.inject({ url: '/secret' })).statusCode, 200)
    t.ok((await server.db.revocations.since(past.cursor)).length >= 2, 'followers of the feed miss nothing')
  })

  t.test('is refused for an empty database, which was not restored', async (t) => {
    const { cli } = createInstallation()
    const [url, file] = [await newDatabase(), newFile(t)]
    writeFileSync(pathOf(file), '')

    for (const place of [url, file]) t.match(await cli(place, 'restored'), { code: 1, stderr: 'The database of DATABASE_URL is empty: there is nothing that was restored.\n' })
    t.match(await cli(newFile(t), 'restored'), { code: 1, stderr: /^There is no database / })
  })
})
