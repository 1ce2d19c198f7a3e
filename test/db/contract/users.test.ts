import t from 'tap'
import { emailKey, toColumns, usernameKey } from '../../../plugins/accounts/canonical-names.ts'
import { NO_HOLD, build } from '../../helper.ts'
import { openTestDatabase } from './database.ts'
import { newSession, newUser } from './rows.ts'
import type { Test } from 'tap'
import type { Names } from '../../../plugins/accounts/canonical-names.ts'

const STARTED = { createdAt: 1000, lastUsedAt: 1000, expiresAt: 2000, accessExpiresAt: 1500 }

/** Repositories over an empty database, and the users and sessions that a test asks for. */
async function prepare (t: Test) {
  const database = await openTestDatabase(t)
  const { revocations, sessions, users } = database
  const user = (id: string, names?: Names, roles: string[] = []) => users.add(newUser(id, names, { roles, createdAt: 1000 }))
  const session = async (id: string, userId: string) => {
    const user = await users.findById(userId)
    await sessions.add(newSession(id, userId, { ...STARTED, roles: user!.roles }), user!)
  }
  const ended = async () => (await revocations.since(0)).map(({ revokedId, until }) => [revokedId, until])
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
    const { users, user } = await prepare(t)
    await user('a')

    await t.rejects(user('a', { username: 'other' }), { code: 'taken', constraint: /^users_/ })
    await t.rejects(user('b', {}), { message: /users_have_a_name/ })
    t.equal((await users.list({ limit: 10 })).length, 1)
  })

  t.test('leaves no account behind when its first session cannot be stored', async (t) => {
    const { users, user, session } = await prepare(t)
    await user('a')
    await session('s', 'a')

    await t.rejects(users.addSignedIn(newUser('b'), newSession('s', 'b'), NO_HOLD), { code: 'taken' })
    await t.rejects(users.addSignedIn(newUser('b'), newSession('new', 'nobody'), NO_HOLD), { message: /foreign key/i })

    t.equal(await users.findById('b'), undefined)
  })
})

t.test('users.hashNextTo', async (t) => {
  t.test('gives the hash of the next account, after the last that of the first, and nothing where is no account', async (t) => {
    const { users, user } = await prepare(t)
    t.equal(await users.hashNextTo('a'), undefined)
    await user('b')
    await user('d')

    for (const [id, hash] of [['a', 'hash of b'], ['b', 'hash of d'], ['c', 'hash of d'], ['e', 'hash of b']] as const) {
      t.equal(await users.hashNextTo(id), hash, id)
    }
  })

  t.test('compares ids by their bytes, not as a language orders them', async (t) => {
    const { users, user } = await prepare(t)
    for (const id of ['-', 'B', '_', 'a']) await user(id)

    for (const [id, hash] of [['', '-'], ['-', 'B'], ['A', 'B'], ['B', '_'], ['_', 'a'], ['a', '-']] as const) {
      t.equal(await users.hashNextTo(id), `hash of ${hash}`, id)
    }
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
    await db.users.add(newUser('a', { username: 'Å\u0301da', email: ' Ada@Example.COM ' }))

    for (const login of ['å\u0301da', 'Å\u0301DA', 'Å\u0301ＤＡ', 'A\u030a\u0301da', 'ada@example.com', 'ADA@EXAMPLE.COM ']) {
      t.equal((await accounts.findByLogin(login))?.id, 'a', login)
    }
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
    async function found (prefix: string) {
      const page = await users.list({ limit: 10, prefix: { usernameKey: usernameKey(prefix), email: emailKey(prefix) } })
      return page.map(({ id }) => id)
    }

    t.same(await found('ada'), ['1', '2', '3'])
    t.same(await found('ADA'), ['1', '2', '3'])
    t.same(await found('ada%'), ['3'])
    t.same(await found('love'), ['1'])
    for (const prefix of ['%', '_da', '*', 'da', "' or 1=1 --"]) t.same(await found(prefix), [], prefix)
  })

  t.test('finds by the beginning of a name in any script', async (t) => {
    const { users, user } = await prepare(t)
    for (const username of ['ädlein', 'ärmel', 'z', '\u{10fffd}', '\u{1f980}a', '\u{1f980}z']) await user(username)
    async function found (prefix: string) {
      const page = await users.list({ limit: 10, prefix: { usernameKey: prefix, email: '-' } })
      return page.map(({ id }) => id)
    }

    t.same(await found('ä'), ['ädlein', 'ärmel'])
    t.same(await found('\u{1f980}'), ['\u{1f980}a', '\u{1f980}z'])
    t.same(await found('\u{10fffd}'), ['\u{10fffd}'])
  })

  t.test('continues after a user, also among those made at the same moment', async (t) => {
    const { users, user } = await prepare(t)
    for (const id of ['c', 'a', 'b']) await user(id)
    await users.add(newUser('A', { username: 'earlier' }, { createdAt: 999 }))

    const first = await users.list({ limit: 2 })
    const second = await users.list({ limit: 2, after: first[1] })

    t.same([first, second].flat().map(({ id }) => id), ['A', 'a', 'b', 'c'])
  })
})

t.test('users.rehash', async (t) => {
  t.test('keeps a password under another hash, unless it has changed meanwhile', async (t) => {
    const { users, user } = await prepare(t)
    const before = await user('a')

    await users.rehash(before, 'newer')
    t.same(await users.findById('a'), { ...before, passwordHash: 'newer' })
    await users.rehash(before, 'newer still')

    t.match(await users.findById('a'), { passwordHash: 'newer' })
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
    t.same(await ended(), [])
    await users.update('a', { roles: ['editor', 'reader'] }, NO_HOLD)

    t.same(await ended(), [['s', 1500]])
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

    t.same(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    t.match(results.find(({ status }) => status === 'rejected'), { reason: { code: 'last_admin' } })
    t.same((await users.list({ limit: 10 })).filter(({ roles }) => roles.includes('admin')).length, 1)
  })

  t.test('changes nothing for an unknown id', async (t) => {
    const { users } = await prepare(t)

    t.equal(await users.update('x', { name: 'X' }, NO_HOLD), undefined)
    t.equal(await users.remove('x', NO_HOLD), false)
  })
})

t.test('users.changePassword and users.setPassword', async (t) => {
  const next = newSession('new', 'a', { createdAt: 1200, lastUsedAt: 1200, accessExpiresAt: 1500 })

  t.test('end every session, and the first starts a new one', async (t) => {
    const { users, sessions, user, session, ended } = await prepare(t)
    await user('a')
    for (const id of ['s1', 's2']) await session(id, 'a')

    t.match(await users.changePassword(next, 'new hash'), { id: 'new' })

    t.match(await users.findById('a'), { passwordHash: 'new hash', passwordChangedAt: 1200 })
    t.same((await sessions.list('a', 0)).map(({ id }) => id), ['new'])
    t.same((await ended()).sort(), [['s1', 1500], ['s2', 1500]])
    t.equal(await users.setPassword('a', 'newer hash', 1300), true)
    t.same(await sessions.list('a', 0), [])
    t.match(await users.findById('a'), { passwordHash: 'newer hash', passwordChangedAt: 1300 })
  })

  t.test('do nothing when the account is gone', async (t) => {
    const { users } = await prepare(t)

    await t.rejects(users.changePassword(next, 'new hash'), { code: 'not_found' })
    t.equal(await users.setPassword('a', 'newer hash', 1300), false)
  })
})

t.test('A name that was given up', async (t) => {
  const hold = (now: number) => ({ now, until: now + 100, keyOf: (name: string) => `key of ${name}` })

  t.test('is kept for the account that had it, until its time is over', async (t) => {
    const { users, user } = await prepare(t)
    await user('a', { username: 'ada', email: 'ada@example.com' })
    await user('b', { username: 'bea' })
    await users.rename('a', toColumns({ username: 'countess' }), hold(0))

    await t.rejects(users.rename('b', toColumns({ username: 'ADA' }), hold(99)), { code: 'username_taken' })
    await t.rejects(users.addSignedIn(newUser('c', { username: 'ada' }), newSession('s', 'c'), hold(99)), { code: 'username_taken' })
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
    await t.rejects(users.addSignedIn(newUser('c', { username: 'bea' }), newSession('s', 'c'), hold(1)), { code: 'username_taken' })
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
    t.same((await ended()).map(([id]) => id).sort(), ['s1', 's2', 's3'])
  })
})
