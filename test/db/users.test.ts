import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { emailKey, toColumns, usernameKey } from '../../plugins/accounts/canonical-names.ts'
import { NO_HOLD, build } from '../helper.ts'
import type { Test } from 'tap'
import type { Names } from '../../plugins/accounts/canonical-names.ts'

/** Repositories over a database in memory, and the users and sessions that a test asks for. */
async function prepare (t: Test) {
  const database = await openDatabase('file::memory:')
  t.teardown(() => database.close())
  const user = (id: string, names: Names = { username: id }, roles: string[] = []) => database.users.add({ id, passwordHash: `hash of ${id}`, roles, createdAt: 1000, ...toColumns(names) })
  const session = async (id: string, userId: string) => {
    const user = await database.users.findById(userId)
    await database.sessions.add({ id, userId, generation: 0, createdAt: 1000, lastUsedAt: 1000, expiresAt: 2000, accessExpiresAt: 1500, ip: '', userAgent: null, roles: user!.roles }, user!)
  }
  const ended = () => database.revocations.since(0).map(({ revokedId, until }) => [revokedId, until])
  return { ...database, user, session, ended }
}

t.test('users.add and users.addSignedIn', async (t) => {
  t.test('gives a name to one account only, and says which is taken', async (t) => {
    const { users, user } = await prepare(t)
    await user('a', { username: 'ada', email: 'ada@example.com' })

    await t.rejects(user('b', { username: 'ADA' }), { code: 'username_taken' })
    await t.rejects(user('b', { username: 'bea', email: 'Ada@Example.com' }), { code: 'email_taken' })
    t.equal(await users.findByUsername('bea'), undefined)
  })

  t.test('throws any other error as it is', async (t) => {
    const { user } = await prepare(t)
    await user('a')

    await t.rejects(user('a', { username: 'other' }), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' })
    await t.rejects(user('b', {}), { code: 'SQLITE_CONSTRAINT_CHECK' })
  })

  t.test('leaves no account behind when its first session cannot be stored', async (t) => {
    const { users, user, session } = await prepare(t)
    await user('a')
    await session('s', 'a')
    const first = { id: 's', userId: 'b', generation: 0, createdAt: 1, lastUsedAt: 1, expiresAt: 2, accessExpiresAt: 2, ip: '', userAgent: null, roles: [] }

    await t.rejects(users.addSignedIn({ id: 'b', ...toColumns({ username: 'bea' }), passwordHash: '', roles: [], createdAt: 1 }, first, NO_HOLD), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' })

    t.equal(await users.findById('b'), undefined)
  })
})

t.test('users.hashNextTo', async (t) => {
  t.test('gives the hash of the next account, after the last one that of the first, and nothing when there is no account', async (t) => {
    const { users, user } = await prepare(t)
    t.equal(await users.hashNextTo('a'), undefined)
    await user('b')
    await user('d')

    for (const [id, hash] of [['a', 'hash of b'], ['b', 'hash of d'], ['c', 'hash of d'], ['e', 'hash of b']] as const) t.equal(await users.hashNextTo(id), hash, id)
  })
})

t.test('users.findByUsername and users.findByEmail', async (t) => {
  t.test('find the one account with this key', async (t) => {
    const { users, user } = await prepare(t)
    await user('a', { username: 'Ada', email: 'ada@example.com' })
    await user('b', { username: 'adam' })

    t.equal((await users.findByUsername('ada'))?.id, 'a')
    t.equal((await users.findByEmail('ada@example.com'))?.id, 'a')
    for (const key of ['Ada', 'ad', 'ada%', '', 'ada@example.com']) t.equal(await users.findByUsername(key), undefined, key)
    for (const key of ['ada', 'ada@example', '', '@']) t.equal(await users.findByEmail(key), undefined, key)
  })
})

t.test('accounts.findByLogin', async (t) => {
  t.test('compares usernames as RFC 8265 does, and e-mail addresses in lower case', async (t) => {
    const { accounts, db } = await build(t)
    await db.users.add({ id: 'a', passwordHash: '-', roles: [], createdAt: 1000, ...toColumns({ username: 'Å\u0301da', email: ' Ada@Example.COM ' }) })

    for (const login of ['å\u0301da', 'Å\u0301DA', 'Å\u0301ＤＡ', 'A\u030a\u0301da', 'ada@example.com', 'ADA@EXAMPLE.COM ']) t.equal((await accounts.findByLogin(login))?.id, 'a', login)
    for (const login of ['ada', 'a', '%', '', 'ada@example', '@']) t.equal(await accounts.findByLogin(login), undefined, login)
    t.match(await db.users.findById('a'), { email: 'ada@example.com', usernameKey: 'ǻda' })
  })
})

t.test('users.list', async (t) => {
  t.test('finds by the beginning of a name, in which no character is special', async (t) => {
    const { users, user } = await prepare(t)
    await user('1', { username: 'ada', email: 'lovelace@example.com' })
    await user('2', { username: 'adam' })
    await user('3', { email: 'ada%@example.com' })
    await user('4', { username: 'bea' })
    const found = async (prefix: string) => (await users.list({ limit: 10, prefix: { usernameKey: usernameKey(prefix), email: emailKey(prefix) } })).map(({ id }) => id)

    t.same(await found('ada'), ['1', '2', '3'])
    t.same(await found('ADA'), ['1', '2', '3'])
    t.same(await found('ada%'), ['3'])
    t.same(await found('love'), ['1'])
    for (const prefix of ['%', '_da', '*', 'da', "' or 1=1 --"]) t.same(await found(prefix), [], prefix)
  })

  t.test('continues after a user, also among those made at the same moment', async (t) => {
    const { users, user } = await prepare(t)
    for (const id of ['c', 'a', 'b']) await user(id)
    await users.add({ id: 'A', ...toColumns({ username: 'earlier' }), passwordHash: '', roles: [], createdAt: 999 })

    const first = await users.list({ limit: 2 })
    const second = await users.list({ limit: 2, after: first[1] })

    t.same([first, second].flat().map(({ id }) => id), ['A', 'a', 'b', 'c'])
  })
})

t.test('users.update', async (t) => {
  t.test('changes only the given fields', async (t) => {
    const { users, user } = await prepare(t)
    const before = await user('a', { username: 'ada', email: 'ada@example.com', name: 'Ada' }, ['editor'])

    t.same(await users.update('a', {}, NO_HOLD), before)
    t.same(await users.update('a', { name: null }, NO_HOLD), { ...before, name: null })
  })

  t.test('ends the sessions when the roles change, and not when they are set to what they were', async (t) => {
    const { users, user, session, ended } = await prepare(t)
    await user('a', { username: 'ada' }, ['editor'])
    await session('s', 'a')

    await users.update('a', { roles: ['editor'], disabled: false, name: 'Ada' }, NO_HOLD)
    t.same(ended(), [])
    await users.update('a', { roles: ['editor', 'reader'] }, NO_HOLD)

    t.same(ended(), [['s', 1500]])
  })

  t.test('keeps the last active administrator', async (t) => {
    const { users, user } = await prepare(t)
    await user('a', { username: 'ada' }, ['admin'])
    await user('b', { username: 'bea' }, ['admin'])
    await user('c', { username: 'cleo' }, ['administrator'])
    await users.update('b', { disabled: true }, NO_HOLD)

    await t.rejects(users.update('a', { disabled: true }, NO_HOLD), { code: 'last_admin' })
    await t.rejects(users.update('a', { roles: ['reader'] }, NO_HOLD), { code: 'last_admin' })
    await t.rejects(users.remove('a', NO_HOLD), { code: 'last_admin' })
    t.ok(await users.update('a', { roles: ['admin', 'reader'], name: 'Ada' }, NO_HOLD))
    await users.update('b', { disabled: false }, NO_HOLD)
    t.ok(await users.update('a', { disabled: true }, NO_HOLD))
  })

  t.test('keeps one of two administrators who remove each other at the same moment', async (t) => {
    const { users, user } = await prepare(t)
    await user('a', { username: 'ada' }, ['admin'])
    await user('b', { username: 'bea' }, ['admin'])

    const results = await Promise.allSettled([users.remove('a', NO_HOLD), users.update('b', { roles: [] }, NO_HOLD)])

    t.match(results, [{ status: 'fulfilled', value: true }, { status: 'rejected', reason: { code: 'last_admin' } }])
  })

  t.test('changes nothing for an unknown id', async (t) => {
    const { users } = await prepare(t)

    t.equal(await users.update('x', { name: 'X' }, NO_HOLD), undefined)
    t.equal(await users.remove('x', NO_HOLD), false)
  })
})

t.test('users.changePassword and users.setPassword', async (t) => {
  const started = { generation: 0, createdAt: 1200, lastUsedAt: 1200, expiresAt: 2000, accessExpiresAt: 1500, ip: '', userAgent: null, roles: [] }

  t.test('end every session, and the first starts a new one', async (t) => {
    const { users, sessions, user, session, ended } = await prepare(t)
    await user('a')
    for (const id of ['s1', 's2']) await session(id, 'a')

    t.match(await users.changePassword({ id: 'new', userId: 'a', ...started }, 'new hash'), { id: 'new' })

    t.match(await users.findById('a'), { passwordHash: 'new hash', passwordChangedAt: 1200 })
    t.same((await sessions.list('a', 0)).map(({ id }) => id), ['new'])
    t.same(ended().sort(), [['s1', 1500], ['s2', 1500]])
    t.equal(await users.setPassword('a', 'newer hash', 1300), true)
    t.same(await sessions.list('a', 0), [])
    t.match(await users.findById('a'), { passwordHash: 'newer hash', passwordChangedAt: 1300 })
  })

  t.test('do nothing when the account is gone', async (t) => {
    const { users } = await prepare(t)

    await t.rejects(users.changePassword({ id: 'new', userId: 'a', ...started }, 'new hash'), { code: 'not_found' })
    t.equal(await users.setPassword('a', 'newer hash', 1300), false)
  })
})

t.test('A name that was given up', async (t) => {
  const hold = (now: number) => ({ now, until: now + 100, keyOf: (name: string) => `key of ${name}` })
  const first = { id: 's', generation: 0, createdAt: 1, lastUsedAt: 1, expiresAt: 2, accessExpiresAt: 2, ip: '', userAgent: null, roles: [] }
  const row = (id: string, names: Names) => ({ id, passwordHash: '', roles: [], createdAt: 1, ...toColumns(names) })

  t.test('is kept for the account that had it, until its time is over', async (t) => {
    const { users, user } = await prepare(t)
    await user('a', { username: 'ada', email: 'ada@example.com' })
    await user('b', { username: 'bea' })
    await users.rename('a', toColumns({ username: 'countess' }), hold(0))

    await t.rejects(users.rename('b', toColumns({ username: 'ADA' }), hold(99)), { code: 'username_taken' })
    await t.rejects(users.addSignedIn(row('c', { username: 'ada' }), { ...first, userId: 'c' }, hold(99)), { code: 'username_taken' })
    t.match(await users.rename('a', toColumns({ username: 'ada' }), hold(99)), { username: 'ada' })
    await users.rename('a', toColumns({ username: 'countess' }), hold(99))
    t.match(await users.rename('b', toColumns({ username: 'ada' }), hold(199)), { username: 'ada' })
    await t.rejects(users.rename('x', {}, hold(0)), { code: 'not_found' })
  })

  t.test('is kept after a deletion, and by an administrator\'s change, but not from an administrator', async (t) => {
    const { users, user } = await prepare(t)
    await user('a', { username: 'ada', email: 'ada@example.com' })
    await user('b', { username: 'bea', email: 'bea@example.com' })
    await users.remove('a', hold(0))
    await users.update('b', toColumns({ username: 'beatrice' }), hold(0))

    await t.rejects(users.rename('b', toColumns({ email: 'ada@example.com' }), hold(1)), { code: 'email_taken' })
    await t.rejects(users.addSignedIn(row('c', { username: 'bea' }), { ...first, userId: 'c' }, hold(1)), { code: 'username_taken' })
    t.match(await users.update('b', toColumns({ username: 'ada' }), hold(1)), { username: 'ada' })
    t.match(await user('d', { username: 'bea' }), { username: 'bea' })
  })

  t.test('is forgotten when its time is over, and when all accounts are deleted', async (t) => {
    const { users, user } = await prepare(t)
    await user('a')
    await users.remove('a', hold(0))

    t.equal(await users.pruneFreedNames(99), 0)
    t.equal(await users.pruneFreedNames(100), 1)
    await user('a')
    await users.remove('a', hold(0))
    await users.removeAll()
    t.equal(await users.pruneFreedNames(100), 0)
  })
})

t.test('users.removeAll', async (t) => {
  t.test('deletes the last administrator, too, and ends every session', async (t) => {
    const { users, user, session, ended } = await prepare(t)
    await user('a', { username: 'ada' }, ['admin'])
    await user('b')
    for (const [id, userId] of [['s1', 'a'], ['s2', 'b'], ['s3', 'b']]) await session(id!, userId!)

    t.equal(await users.removeAll(), 2)

    t.same(await users.list({ limit: 10 }), [])
    t.same(ended().map(([id]) => id).sort(), ['s1', 's2', 's3'])
  })
})
