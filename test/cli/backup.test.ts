import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import t from 'tap'
import { backUp } from '../../cli/backup.ts'
import { restore } from '../../cli/restore.ts'
import { readMigrations } from '../../db/migrations.ts'
import { replaceDatabase } from '../../db/sqlite/backup.ts'
import { inspect } from '../../db/sqlite/inspect.ts'
import { toColumns } from '../../plugins/accounts/canonical-names.ts'
import { readConfig } from '../../plugins/core/config/index.ts'
import { PASSWORD, TEST_ENVIRONMENT, assertRefused, auditEvents, bearer, build, claimsOf, signIn, signUp } from '../helper.ts'
import { CLI, run } from '../processes.ts'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

function query (path: string, sql: string): unknown[] {
  const client = new Client(path)
  try {
    return client.prepare(sql).pluck().all()
  } finally {
    client.close()
  }
}

function change (path: string, ...statements: string[]) {
  const client = new Client(path)
  for (const statement of statements) client.exec(statement)
  client.close()
}

async function assertDead (t: Test, server: FastifyInstance, { access_token: accessToken, refresh_token: refreshToken }: { access_token: string, refresh_token: string }) {
  assertRefused(t, await server.inject({ url: '/secret', headers: bearer(accessToken) }), 401, 'invalid_token')
  assertRefused(t, await server.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(refreshToken) }), 401, 'token_revoked')
}

// One service is backed up while it runs, goes on, and stops; every test restores that backup.
t.test('backup and restore', async (t) => {
  const root = t.testdir()
  const folder = join(root, 'data')
  const file = join(folder, 'postern.db')
  const backup = join(root, 'backup.db')
  const copy = join(root, 'copy.db')
  const env = { ...TEST_ENVIRONMENT, DATABASE_URL: `file:${file}` }
  const config = readConfig(env)

  const server = await build(t, { env })
  const ada = await signUp(server, { username: 'ada' })

  /** The settings of another installation, with the master key of this one. */
  function elsewhere (name: string, content?: Buffer) {
    const place = join(root, name)
    mkdirSync(place)
    copyFileSync(join(folder, 'master.key'), join(place, 'master.key'))
    if (content) for (const suffix of ['', '-wal', '-shm', '-journal']) writeFileSync(join(place, `postern.db${suffix}`), content)
    return { ...TEST_ENVIRONMENT, DATABASE_URL: `file:${join(place, 'postern.db')}` }
  }

  t.test('backup', async (t) => {
    t.test('copies the database while the service writes', async (t) => {
      const writing = new AbortController()
      let writes = 0
      const write = async () => { while (!writing.signal.aborted) await server.db.users.add({ id: `id${writes}`, ...toColumns({ username: `user${writes++}` }), passwordHash: '-', roles: [], createdAt: 1 }) }
      const load = [write(), write(), write()]

      const { code, stdout, stderr } = await run([...CLI, 'backup', backup], { env })
      writing.abort()
      await Promise.all(load)

      t.same({ code, stderr }, { code: 0, stderr: '' })
      t.equal(stdout, `${backup} is complete.\nIt is useless without the master key. Keep the file ${join(folder, 'master.key')} too, in another place.\n`)
      t.equal(statSync(backup).mode & 0o777, 0o600)
      t.match(readdirSync(root).sort(), ['backup.db', 'data'])
      t.match(inspect(backup), { faults: [], version: 'current' })
      const [copied] = query(backup, 'select count(*) from users')
      t.ok(Number(copied) > 1 && Number(copied) <= writes, `${copied} of ${writes} accounts`)
    })

    t.test('names MASTER_KEY when that is the master key', async (t) => {
      const other = join(root, 'named.db')

      t.match(await backUp({ ...config, masterKey: 'it' }, other), /Keep MASTER_KEY too/)
    })

    t.test('refuses when it cannot copy, and leaves nothing behind', async (t) => {
      const [precious, other, unsound] = ['precious', 'other.db', 'unsound.db'].map((name) => join(root, name)) as [string, string, string] // as many as names
      writeFileSync(precious, 'precious')
      copyFileSync(backup, unsound)
      change(unsound, 'pragma foreign_keys = OFF', 'update sessions set user_id = \'nobody\'')
      const before = readdirSync(root)

      await t.rejects(backUp(config, precious), { code: 'refused', message: /there is such a file already/ })
      await t.rejects(backUp(config, join(root, 'none', 'backup.db')), { code: 'refused', message: /^There is no folder .+none\. Make it first\.$/ })
      await t.rejects(backUp({ ...config, databaseUrl: 'file::memory:' }, other), { code: 'refused', message: /in memory/ })
      await t.rejects(backUp({ ...config, databaseUrl: `file:${other}` }, other), { code: 'refused', message: /There is no database/ })
      await t.rejects(backUp({ ...config, databaseUrl: `file:${unsound}` }, other), { code: 'refused', message: /1 rows refer to missing rows/ })

      t.equal(readFileSync(precious, 'utf8'), 'precious')
      t.same(readdirSync(root), before)
    })
  })

  t.test('restore', async (t) => {
    await t.test('refuses while the service runs', async (t) => {
      await t.rejects(restore(config, backup), { code: 'refused', message: /is in use\. Stop the service\.$/ })

      t.match(await signIn(server, 'ada'), { user: { username: 'ada' } })
    })

    // The service goes on after the backup, and stops.
    for (const suffix of ['', '-wal']) copyFileSync(file + suffix, copy + suffix)
    const grace = await signUp(server, { username: 'grace' })
    await ada.inject({ method: 'POST', url: '/auth/logout' })
    for (let i = 0; i < 9; i++) await server.db.revocations.add(`jti${i}`, Date.now() + 60_000)
    const cursor = (await server.db.revocations.since(0)).at(-1)!.sequence
    const lists = await server.db.statusLists.live(0)
    const kids = server.signingKeys.all().map(({ kid }) => kid)
    await server.close()

    t.test('refuses a file that is no backup of this installation, and leaves everything as it was', async (t) => {
      const [none, torn, foreign, newer] = ['none', 'torn.db', 'foreign.db', 'newer.db'].map((name) => join(root, name)) as [string, string, string, string] // as many as names
      writeFileSync(torn, readFileSync(backup).subarray(0, 20_000))
      change(foreign, 'create table users (id)')
      copyFileSync(backup, newer)
      change(newer, 'insert into __drizzle_migrations (hash, created_at) values (\'new\', 9000000000000)')
      const { ino } = statSync(file)

      await t.rejects(restore(config, none), { code: 'refused', message: /^There is no file/ })
      await t.rejects(restore(config, torn), { code: 'refused', message: /is damaged/ })
      await t.rejects(restore(config, foreign), { code: 'refused', message: /is no database of Postern/ })
      await t.rejects(restore(config, newer), { code: 'refused', message: /by a later version of Postern/ })
      await t.rejects(restore({ ...config, masterKey: Buffer.alloc(32).toString('base64') }, backup), { code: 'wrong_setting', message: /is not the key of this database/ })
      await t.rejects(restore({ ...config, databaseUrl: `file:${join(root, 'new', 'postern.db')}` }, backup), { code: 'refused', message: /master key of the backup is missing\. Put it at .+new\/master\.key, or set MASTER_KEY/ })
      await t.rejects(restore({ ...config, databaseUrl: 'file::memory:' }, backup), { code: 'refused', message: /in memory/ })

      t.equal(statSync(file).ino, ino)
      t.match(query(file, 'select username from users where username = \'grace\''), ['grace'])
      t.same(readdirSync(folder).sort(), ['master.key', 'postern.db'])
    })

    t.test('brings the backup back, keeps the replaced database, and revives no session that had ended', async (t) => {
      const message = await restore(config, backup)
      const names = readdirSync(folder)
      const restored = await build(t, { env })

      t.match(message, /^(.+) is restored\. Start the service\.\nThe database that was there is \1\.before-\w+\.\nSessions ended: 1\. Everybody must sign in again\.$/)
      t.equal(statSync(file).mode & 0o777, 0o600)
      const [aside = '', ...others] = names.filter((name) => name.includes('before'))
      t.same([...others, ...names.filter((name) => name !== aside)].sort(), ['master.key', 'postern.db'])
      t.match(query(join(folder, aside), 'select username from users where username = \'grace\''), ['grace'])
      const again = await signIn(restored, 'ada')
      t.equal((await again.inject({ url: '/secret' })).statusCode, 200)
      assertRefused(t, await restored.inject({ method: 'POST', url: '/auth/login', payload: { username: 'grace', password: PASSWORD } }), 401, 'invalid_credentials')
      for (const tokens of [ada, grace]) await assertDead(t, restored, tokens)

      const seen = await restored.db.revocations.since(cursor) // by a follower of the feed, who has seen everything before
      t.same(seen.filter(({ kind }) => kind === 'kid').map(({ revokedId }) => revokedId), kids)
      t.equal(seen.filter(({ kind }) => kind === 'sid').length, 1)
      const { sid } = await restored.accessTokens.verify(again.access_token)
      const session = await restored.db.sessions.findById(sid)
      t.notOk(lists.includes(session!.statusEntries[0]!.list), 'a token has no place that another may have had')
      t.same((await auditEvents(restored)).filter(({ actorKind }) => actorKind === 'cli').map(({ event }) => event), ['restored', ...kids.map(() => 'key_revoked')])
      t.match(await restored.db.audit.verify(), { broken: undefined })
    })

    t.test('leaves everybody signed in with --keep-sessions, and includes a -wal', async (t) => {
      const env = elsewhere('moved')

      t.match(await restore(readConfig(env), copy, { keepSessions: true }), /^\S+ is restored\. Start the service\.$/)
      const restored = await build(t, { env })

      t.equal((await restored.inject({ url: '/secret', headers: bearer(ada.access_token) })).statusCode, 200)
      const refreshed = await restored.inject({ method: 'POST', url: '/auth/refresh', headers: bearer(ada.refresh_token) })
      t.equal(refreshed.statusCode, 200)
      const { status } = claimsOf(refreshed.json().access_token)
      t.notOk(lists.includes(status.status_list.uri.split('/').at(-1)), 'a token has no place that another may have had')
      t.ok(existsSync(`${copy}-wal`), 'and the copy stays as it was')
    })

    t.test('updates a backup of an older version', async (t) => {
      const env = elsewhere('updated')
      const old = join(root, 'old.db')
      const [first] = readMigrations('sqlite')
      change(old, ...first!.sql, 'create table __drizzle_migrations (id integer primary key, hash text not null, created_at integer not null) strict', `insert into __drizzle_migrations (hash, created_at) values ('${first!.hash}', ${first!.folderMillis})`) // there is one at least

      await restore(readConfig(env), old)

      t.equal(inspect(old).version, 'older')
      t.match(inspect(join(root, 'updated', 'postern.db')), { faults: [], version: 'current' })
    })

    t.test('leaves no file of the old database where SQLite would take it for the new one\'s', async (t) => {
      const place = t.testdir({ db: 'old', 'db-wal': 'old', 'db-shm': 'old', 'db-journal': 'old', candidate: 'new' })

      replaceDatabase(join(place, 'candidate'), join(place, 'db'), join(place, 'aside'))

      t.same(readdirSync(place).sort(), ['aside', 'aside-journal', 'aside-shm', 'aside-wal', 'db'])
      t.equal(readFileSync(join(place, 'db'), 'utf8'), 'new')
      t.equal(readFileSync(join(place, 'aside'), 'utf8'), 'old')
    })

    t.test('replaces a damaged file, and the files beside it', async (t) => {
      const env = elsewhere('broken', Buffer.alloc(4096, 7))
      const withSecret = join(root, 'with-secret.db')
      copyFileSync(backup, withSecret)
      change(withSecret, "update service_state set value = 'HS256' where name = 'JWT_ALGORITHM'")

      await restore(readConfig({ ...env, JWT_ALGORITHM: 'HS256', JWT_SECRET: 'a secret of at least thirty-two bytes' }), withSecret)

      const names = readdirSync(join(root, 'broken'))
      t.same(names.filter((name) => !name.includes('before')).sort(), ['master.key', 'postern.db'])
      t.ok(readFileSync(join(root, 'broken', names.find((name) => /before-\w+$/.test(name))!)).equals(Buffer.alloc(4096, 7)))
      t.match(inspect(join(root, 'broken', 'postern.db')), { faults: [], version: 'current', keys: [{ kid: kids[0] }] }) // with HS256 none is revoked
      t.same(query(join(root, 'broken', 'postern.db'), 'select count(*) from sessions'), [0])
    })
  })
})
