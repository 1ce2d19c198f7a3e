import t from 'tap'
import { timesOf } from '../../../plugins/accounts/session-times.ts'
import { readConfig } from '../../../plugins/core/config/index.ts'
import { NO_HOLD } from '../../helper.ts'
import { openTestDatabase } from './database.ts'
import { inBatches, newEntry, newSession, newUser } from './rows.ts'
import type { Test } from 'tap'

const SECOND = 1000
const config = readConfig({ REFRESH_TOKEN_TTL: '100s', SESSION_MAX_AGE: '250s', ACCESS_TOKEN_TTL: '15s' })

/** A session that began at 0 and is good for 100 s, and a function that rotates it at a time in seconds. */
async function prepare (t: Test) {
  const database = await openTestDatabase(t)
  const { sessions, users } = database
  const user = await users.add(newUser('a'))
  const begin = (id: string, changes = {}, entry?: Parameters<typeof sessions.add>[2]) =>
    sessions.add(newSession(id, 'a', { expiresAt: 100 * SECOND, accessExpiresAt: 15 * SECOND, ...changes }), user, entry)
  const rotate = (generation: number, seconds: number, id = 's', rules = {}) => {
    const now = Math.round(seconds * SECOND)
    return sessions.rotate(id, generation, {
      now,
      timesOf: (createdAt) => timesOf(createdAt, now, config),
      grace: 10 * SECOND,
      mostLiveTokens: 3,
      place: { ip: '', userAgent: null },
      isSamePlace: () => true,
      isInUse: () => false,
      ...rules
    })
  }
  await begin('s')
  return { ...database, user, begin, rotate }
}

t.test('sessions.add', async (t) => {
  t.test('starts none for an account that changed after its password was verified', async (t) => {
    const { sessions, users, user, begin } = await prepare(t)

    await users.rehash(user, 'the same password')
    t.match(await begin('after a rehash'), { id: 'after a rehash', statusEntries: [{ until: 15 * SECOND }] })
    await users.update('a', { disabled: true }, NO_HOLD)
    t.equal(await begin('disabled'), undefined)
    await users.update('a', { disabled: false }, NO_HOLD)
    t.match(await begin('enabled'), { id: 'enabled' })
    await users.update('a', { roles: ['admin'] }, NO_HOLD)
    t.equal(await begin('with the roles of before'), undefined)
    t.match(await begin('with the roles of now', { roles: ['admin'] }), { roles: ['admin'] })
    await users.add(newUser('b', { username: 'bea' }, { roles: ['admin'] })) // so that one remains
    await users.update('a', { roles: [] }, NO_HOLD)
    t.match(await begin('with the same roles again'), { id: 'with the same roles again' })
    await users.setPassword('a', 'new hash', SECOND)
    t.equal(await begin('after a change'), undefined)
    await users.remove('a', NO_HOLD)
    t.equal(await begin('deleted'), undefined)
    t.same(await sessions.list('a', 0), [])
  })
})

t.test('An account', async (t) => {
  t.test('has 100 sessions at most: the least recently used one ends', async (t) => {
    const { audit, sessions, revocations, users, begin, rotate } = await prepare(t)
    const bea = await users.add(newUser('b'))
    await sessions.add(newSession('beas', 'b', { expiresAt: 1, accessExpiresAt: 1 }), bea)
    await inBatches(99, (i) => begin(`s${i}`, { createdAt: i }))
    await rotate(0, 1)
    t.same(await revocations.since(0), [])

    const event = { event: 'signed_in', actorId: 'a', session: 'one more' }
    t.match(await begin('one more', { lastUsedAt: 2 * SECOND }, {
      ...newEntry(2 * SECOND),
      toEvent: (start) => ({ ...newEntry(2 * SECOND, event).toEvent()!, target: start?.ended })
    }), { id: 'one more' })

    const ids = (await sessions.list('a', 0)).map(({ id }) => id)
    t.equal(ids.length, 100)
    t.match(ids, ['one more', 's'])
    t.match(await revocations.since(0), [{ revokedId: 's0', until: 15 * SECOND }])
    t.equal((await revocations.since(0)).length, 1)
    t.ok(await sessions.findById('beas'))
    t.match(await audit.sessionEnd('s0'), { event: 'signed_in', session: 'one more' })
  })

  t.test('keeps of sessions that were last used at one time the one that began last, and else the first by id', async (t) => {
    const { sessions, begin } = await prepare(t)
    await inBatches(97, (i) => begin(`s${i}`, { lastUsedAt: 1 }))
    await begin('m', { createdAt: 5 })
    await begin('b')

    await begin('new', { lastUsedAt: 2 })
    t.same([await sessions.findById('s'), (await sessions.findById('b'))?.id], [undefined, 'b'])
    await begin('newer', { lastUsedAt: 2 })
    t.same([await sessions.findById('b'), (await sessions.findById('m'))?.id], [undefined, 'm'])
    await begin('newest', { lastUsedAt: 2 })

    t.equal(await sessions.findById('m'), undefined)
    t.equal((await sessions.list('a', 0)).length, 100)
  })
})

t.test('sessions.rotate', async (t) => {
  t.test('counts up, and moves what expires', async (t) => {
    const { rotate } = await prepare(t)
    const first = { generation: 1, createdAt: 0, lastUsedAt: 60_000, expiresAt: 160_000, accessExpiresAt: 75_000, roles: [] }

    t.match(await rotate(0, 60), { outcome: 'rotated', session: first })
    t.match(await rotate(1, 159), { outcome: 'rotated', session: { generation: 2, expiresAt: 250_000 } })
    t.match(await rotate(2, 249), { outcome: 'rotated', session: { generation: 3, expiresAt: 250_000 } })
    t.match(await rotate(3, 250), { outcome: 'expired' })
  })

  t.test('gives the session as it is stored', async (t) => {
    const { sessions, rotate } = await prepare(t)

    const result = await rotate(0, 60, 's', { place: { ip: '203.0.113.9', userAgent: 'another' } })

    t.same('session' in result && result.session, await sessions.findById('s'))
  })

  t.test('keeps the expiry of an access token that is good for longer', async (t) => {
    const { sessions, revocations, begin, rotate } = await prepare(t)
    await begin('long', { accessExpiresAt: 90 * SECOND })

    t.match(await rotate(0, 10, 'long'), { session: { accessExpiresAt: 90 * SECOND } })
    await sessions.end('long')

    t.match(await revocations.since(0), [{ revokedId: 'long', until: 90 * SECOND }])
  })

  t.test('repeats the answer of the last rotation until the grace is over', async (t) => {
    const { rotate } = await prepare(t)
    await rotate(0, 20)

    t.match(await rotate(0, 29.999), { outcome: 'replayed_in_grace', session: { generation: 1, lastUsedAt: 20_000 } })
    t.match(await rotate(1, 29.999), { outcome: 'rotated', session: { generation: 2 } })
  })

  t.test('ends the session when another place uses a token again, once the new one was seen in use', async (t) => {
    const { rotate } = await prepare(t)
    await rotate(0, 20)

    t.match(await rotate(0, 22, 's', { isInUse: () => true }), { outcome: 'replayed_in_grace' })
    t.match(await rotate(0, 23, 's', { isSamePlace: () => false, isInUse: () => true }), { outcome: 'reused' })
  })

  t.test('gives the next tokens to another place before the new ones were seen in use', async (t) => {
    const { rotate } = await prepare(t)
    await rotate(0, 20)

    t.match(await rotate(0, 21, 's', { isSamePlace: () => false }), { outcome: 'rotated_elsewhere', session: { generation: 2 } })
    t.match(await rotate(1, 40), { outcome: 'reused' }, 'two hold the session')
  })

  t.test('keeps where the last rotation came from', async (t) => {
    const { sessions, rotate } = await prepare(t)
    const place = { ip: '203.0.113.9', userAgent: 'another' }

    await rotate(0, 20, 's', { place })

    t.match(await sessions.list('a', 0), [place])
  })

  t.test('has no grace after the clock was set back', async (t) => {
    const { rotate } = await prepare(t)
    await rotate(0, 20)

    t.match(await rotate(0, 19.5), { outcome: 'replayed_in_grace' }, 'but a small step is none')
    t.match(await rotate(0, 19), { outcome: 'reused' })
  })

  const old = [['the grace is over', 1, 30], ['it is two behind', 0, 20], ['it was never issued', 3, 20]] as const
  for (const [name, generation, seconds] of old) {
    t.test(`ends the session when ${name}`, async (t) => {
      const { sessions, revocations, rotate } = await prepare(t)
      await rotate(0, 20)
      await rotate(1, 20)

      t.match(await rotate(generation, seconds), { outcome: 'reused', session: { id: 's', generation: 2 } })

      t.match(await rotate(2, seconds), { outcome: 'unknown' })
      t.same(await sessions.list('a', 0), [])
      t.match(await revocations.since(0), [{ revokedId: 's', until: 35 * SECOND }])
    })
  }

  t.test('lets one of many simultaneous requests win', async (t) => {
    const { rotate } = await prepare(t)

    const outcomes = await Promise.all(Array.from({ length: 50 }, () => rotate(0, 1)))

    t.same(outcomes.map(({ outcome }) => outcome).sort(), [...Array(49).fill('replayed_in_grace'), 'rotated'])
    t.ok(outcomes.every((result) => 'session' in result && result.session.generation === 1))
  })

  t.test('refuses a token over the limit of live tokens, until one of them has expired', async (t) => {
    const { sessions, rotate } = await prepare(t)
    await rotate(0, 1)
    await rotate(1, 2)
    const before = await sessions.findById('s')

    t.same(await rotate(2, 14.999), { outcome: 'too_many_tokens', until: 15 * SECOND })
    t.same(await sessions.findById('s'), before)
    t.match(await rotate(2, 15), { outcome: 'rotated', session: { generation: 3, statusEntries: { length: 3 } } })
  })

  t.test('ends a session at that limit, too, when an old token is used', async (t) => {
    const { rotate } = await prepare(t)
    await rotate(0, 1)
    await rotate(1, 2)

    t.match(await rotate(0, 3), { outcome: 'reused' })
  })

  t.test('finds no session of an unknown id', async (t) => {
    const { rotate } = await prepare(t)

    t.match(await rotate(0, 1, 'x'), { outcome: 'unknown' })
  })
})

t.test('sessions.end', async (t) => {
  t.test('ends only a session of the given user, and any session when none is given', async (t) => {
    const { sessions, revocations, begin } = await prepare(t)
    await begin('another')

    t.same(await sessions.end('s', 'b'), [])
    t.same(await revocations.since(0), [])
    t.same(await sessions.end('s', 'a'), [{ id: 's', userId: 'a' }])
    t.same(await sessions.end('s'), [])
    t.same(await sessions.end('another'), [{ id: 'another', userId: 'a' }])
    t.match(await revocations.since(0), [{ revokedId: 's', kind: 'sid' }, { revokedId: 'another', kind: 'sid' }])
  })

  t.test('sets the bits of all tokens of the session that have not expired', async (t) => {
    const { sessions, statusLists, rotate } = await prepare(t)
    await rotate(0, 1)
    const { statusEntries } = (await sessions.findById('s'))!

    await sessions.end('s')

    const [list = ''] = await statusLists.live(0)
    t.same((await statusLists.revoked(list)).sort(), statusEntries.map(({ index }) => index).sort())
    t.equal(statusEntries.length, 2)
  })
})

t.test('sessions.endAll', async (t) => {
  t.test('ends all sessions of an account and gives them, and leaves those of others', async (t) => {
    const { sessions, revocations, users, begin } = await prepare(t)
    const bea = await users.add(newUser('b'))
    await sessions.add(newSession('beas', 'b'), bea)
    await begin('s2')

    const ended = await sessions.endAll('a')

    t.same(ended.map(({ id }) => id).sort(), ['s', 's2'])
    t.same(await sessions.list('a', 0), [])
    t.ok(await sessions.findById('beas'))
    t.same((await revocations.since(0)).map(({ revokedId }) => revokedId).sort(), ['s', 's2'])
    t.same(await sessions.endAll('a'), [])
    t.same(await sessions.endAll('x'), [])
  })
})

t.test('everySession.end', async (t) => {
  t.test('ends all sessions, in as many transactions as it takes', async (t) => {
    const { everySession, revocations, sessions, users } = await prepare(t)
    for (let i = 0; i < 11; i++) {
      const user = await users.add(newUser(`u${i}`))
      await inBatches(100, (j) => sessions.add(newSession(`u${i} ${j}`, user.id), user))
    }
    const counts: number[] = []
    const entry = { ...newEntry(1), toEvent ({ count }: { count: number }) { counts.push(count); return newEntry(1).toEvent() } }

    t.equal(await everySession.end(entry), 1101)

    t.equal(await sessions.count(), 0)
    t.equal(await revocations.count(0), 1101)
    t.same(counts, [500, 500, 101])
    t.equal(await everySession.end(), 0)
  })
})

t.test('sessions.list', async (t) => {
  t.test('gives the live ones only, the last used first', async (t) => {
    const { sessions, begin } = await prepare(t)
    await begin('later', { lastUsedAt: 5 })
    await begin('over', { expiresAt: 50 * SECOND })

    t.same((await sessions.list('a', 50 * SECOND)).map(({ id }) => id), ['later', 's'])
    t.same(await sessions.list('b', 0), [])
  })
})

t.test('sessions.prune', async (t) => {
  t.test('deletes the sessions that have expired by then', async (t) => {
    const { sessions, begin } = await prepare(t)
    await begin('short', { expiresAt: 50 * SECOND })

    t.equal(await sessions.prune(50 * SECOND - 1), 0)
    t.equal(await sessions.prune(50 * SECOND), 1)
    t.same((await sessions.list('a', 0)).map(({ id }) => id), ['s'])
  })

  t.test('keeps one whose last access token is good for longer: it can still be ended', async (t) => {
    const { sessions, begin } = await prepare(t)
    await begin('short', { expiresAt: 50 * SECOND, accessExpiresAt: 60 * SECOND })

    t.equal(await sessions.prune(60 * SECOND - 1), 0)
    t.equal(await sessions.prune(60 * SECOND), 1)
  })

  t.test('prunes every expired session, over many slices', async (t) => {
    const { sessions, users, begin } = await prepare(t)
    for (let i = 0; i < 30; i++) {
      const id = `u${i}`
      await users.add(newUser(id))
      await inBatches(70, (i) => begin(`${id} ${i}`, { userId: id, expiresAt: (50 + i % 2) * SECOND }))
    }

    t.equal(await sessions.prune(50 * SECOND), 1050)
    t.equal(await sessions.count(), 1 + 1050)
    t.equal(await sessions.prune(51 * SECOND), 1050)
    t.equal(await sessions.prune(1e15), 1)
    t.equal(await sessions.prune(1e15), 0)
  })
})
