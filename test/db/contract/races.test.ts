import t from 'tap'
import { NO_HOLD } from '../../helper.ts'
import { ROUNDS, openThrice, openTwice } from './database.ts'
import { inBatches, newKey, newSession, newUser, revokedIds, rotationAt, signingAt } from './rows.ts'
import type { Database } from '../../../db/index.ts'

const MOST_SESSIONS = 100

/** The names of the rounds. */
function rounds (): string[] {
  return Array.from({ length: ROUNDS }, (_, i) => `round ${i}`)
}

/** The code of what rejected, or what it gave. */
function outcomeOf (result: PromiseSettledResult<unknown>): unknown {
  return result.status === 'fulfilled' ? result.value : result.reason.code
}

async function activeAdmins ({ users }: Database): Promise<string[]> {
  const all = await users.list({ limit: 1000 })
  return all.filter(({ roles, disabled }) => roles.includes('admin') && !disabled).map(({ id }) => id)
}

t.test('Administrators', async (t) => {
  const cases: Array<[what: string, take: (database: Database, id: string) => Promise<unknown>]> = [
    ['disable', ({ users }, id) => users.update(id, { disabled: true }, NO_HOLD)],
    ['demote', ({ users }, id) => users.update(id, { roles: ['reader'] }, NO_HOLD)],
    ['delete', ({ users }, id) => users.remove(id, NO_HOLD)]
  ]
  for (const [what, take] of cases) {
    t.test(`of whom two ${what} each other at the same moment, in two processes: one does, and one remains`, async (t) => {
      const [one, other] = await openTwice(t)
      for (const round of rounds()) {
        const [ada, bea] = [`${round} ada`, `${round} bea`]
        for (const id of [ada, bea]) await one.users.add(newUser(id, undefined, { roles: ['admin'] }))
        const [before] = (await activeAdmins(one)).filter((id) => !id.startsWith(round))
        if (before) await one.users.update(before, { roles: [] }, NO_HOLD)

        const results = await Promise.allSettled([take(one, ada), take(other, bea)])

        t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1, round)
        t.match(results.find(({ status }) => status === 'rejected'), { reason: { code: 'last_admin' } }, round)
        t.equal((await activeAdmins(one)).length, 1, round)
      }
    })
  }

  t.test('of whom three are disabled at the same moment, in three processes: one remains', async (t) => {
    const processes = await openThrice(t)
    const ids = ['a', 'b', 'c']
    for (const id of ids) await processes[0].users.add(newUser(id, undefined, { roles: ['admin'] }))

    const results = await Promise.allSettled(processes.map(({ users }, i) => users.update(ids[i]!, { disabled: true }, NO_HOLD)))

    t.same(results.map(outcomeOf).filter((outcome) => outcome === 'last_admin'), ['last_admin'])
    t.equal((await activeAdmins(processes[0])).length, 1)
  })
})

t.test('A sign-in', async (t) => {
  const cases: Array<[what: string, change: (database: Database, id: string) => Promise<unknown>]> = [
    ['a new password', ({ users }, id) => users.setPassword(id, 'new hash', 5)],
    ['a change of the password', ({ users }, id) => users.changePassword(newSession(`after ${id}`, id, { createdAt: 5 }), 'new hash')],
    ['the disabling of its account', ({ users }, id) => users.update(id, { disabled: true }, NO_HOLD)],
    ['a change of roles', ({ users }, id) => users.update(id, { roles: ['editor'] }, NO_HOLD)],
    ['the deletion of its account', ({ users }, id) => users.remove(id, NO_HOLD)]
  ]
  for (const [what, change] of cases) {
    t.test(`beside ${what} comes before it, and ends, or does not begin`, async (t) => {
      const [one, other] = await openTwice(t)
      for (const round of rounds()) {
        const user = await one.users.add(newUser(round))
        const signIn = (database: Database, id: string) => database.sessions.add(newSession(id, round), user)

        const [first, , second] = await Promise.all([signIn(one, `${round} 1`), change(other, round), signIn(other, `${round} 2`)])

        const revoked = await revokedIds(one)
        for (const [i, begun] of [first, second].entries()) {
          const id = `${round} ${i + 1}`
          t.equal(await one.sessions.findById(id), undefined, `${id} is over`)
          t.equal(revoked.includes(id), begun !== undefined, `${id} is revoked if it had begun`)
        }
      }
    })
  }

  t.test('beside the end of all sessions comes before it, and ends, or after it, and lives', async (t) => {
    const [one, other] = await openTwice(t)
    for (const round of rounds()) {
      const user = await one.users.add(newUser(round))
      const ids = [`${round} 1`, `${round} 2`, `${round} 3`]

      const [, ended] = await Promise.all([
        one.sessions.add(newSession(ids[0]!, round), user),
        other.sessions.endAll(round),
        one.sessions.add(newSession(ids[1]!, round), user),
        other.sessions.add(newSession(ids[2]!, round), user)
      ])

      const revoked = await revokedIds(one)
      for (const id of ids) {
        const isOver = ended.some((session) => session.id === id)
        t.equal(revoked.includes(id), isOver, id)
        t.equal(await one.sessions.findById(id) === undefined, isOver, id)
      }
    }
  })

  t.test('that is one too many, twice at once, ends one session for each', async (t) => {
    const [one, other] = await openTwice(t)
    const user = await one.users.add(newUser('a'))
    const old = Array.from({ length: MOST_SESSIONS }, (_, i) => `old ${i}`)
    await inBatches(old.length, (i) => one.sessions.add(newSession(old[i]!, 'a', { lastUsedAt: i }), user))

    for (const [i, round] of rounds().entries()) {
      const begin = (database: Database, id: string) => database.sessions.add(newSession(id, 'a', { lastUsedAt: 1000 + i }), user)
      await Promise.all([begin(one, `${round} 1`), begin(other, `${round} 2`)])

      t.equal((await one.sessions.list('a', 0)).length, MOST_SESSIONS, round)
      for (const id of [`${round} 1`, `${round} 2`]) t.ok(await one.sessions.findById(id), id)
      t.same((await revokedIds(one)).sort(), old.slice(0, 2 * i + 2).sort(), round)
    }
  })

  t.test('under a name that is taken at the same moment is refused', async (t) => {
    const [one, other] = await openTwice(t)
    for (const round of rounds()) {
      const add = ({ users }: Database, i: number) =>
        users.addSignedIn(newUser(`${round} ${i}`, { username: round }), newSession(`${round} ${i}`, `${round} ${i}`), NO_HOLD)

      const results = await Promise.allSettled([add(one, 1), add(other, 2)])

      t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1, round)
      t.match(results.find(({ status }) => status === 'rejected'), { reason: { code: 'username_taken' } })
      t.equal(await one.sessions.count(), Number(round.slice('round '.length)) + 1)
    }
  })
})

t.test('One generation of a session, rotated by two processes', async (t) => {
  const elsewhere = { isSamePlace: () => false }
  const cases: Array<[what: string, rules: object, outcomes: string[], generation?: number]> = [
    ['in the grace: one rotates, and the other is given the same', {}, ['replayed_in_grace', 'rotated'], 1],
    ['from two places: both rotate, one after the other', elsewhere, ['rotated', 'rotated_elsewhere'], 2],
    ['from two places, and the tokens of one in use: the session ends', { ...elsewhere, isInUse: () => true }, ['reused', 'rotated']],
    ['without a grace: the session ends', { grace: 0 }, ['reused', 'rotated']]
  ]
  for (const [what, rules, outcomes, generation] of cases) {
    t.test(what, async (t) => {
      const [one, other] = await openTwice(t)
      const user = await one.users.add(newUser('a'))
      for (const round of rounds()) {
        await one.sessions.add(newSession(round, 'a'), user)

        const results = await Promise.all([one, other].map(({ sessions }) => sessions.rotate(round, 0, rotationAt(10, rules))))

        t.same(results.map(({ outcome }) => outcome).sort(), outcomes, round)
        const session = await one.sessions.findById(round)
        t.equal(session?.generation, generation, round)
        t.equal((await revokedIds(one)).includes(round), generation === undefined, round)
        const places = results.flatMap((result) => 'session' in result ? result.session.statusEntries : [])
        const tokens = outcomes.includes('rotated_elsewhere') ? 3 : 2
        t.equal(new Set(places.map(({ index }) => index)).size, tokens, 'each token has its place')
      }
    })
  }

  t.test('many times at once counts up by one', async (t) => {
    const processes = await openThrice(t)
    const user = await processes[0].users.add(newUser('a'))
    await processes[0].sessions.add(newSession('s', 'a'), user)

    for (let generation = 0; generation < 5; generation++) {
      const rotations = Array.from({ length: 30 }, (_, i) => processes[i % 3]!.sessions.rotate('s', generation, rotationAt(10)))
      const outcomes = (await Promise.all(rotations)).map(({ outcome }) => outcome)
      t.same(outcomes.sort(), [...Array(29).fill('replayed_in_grace'), 'rotated'])
    }

    t.equal((await processes[0].sessions.findById('s'))?.generation, 5)
  })
})

t.test('A refresh', async (t) => {
  const cases: Array<[what: string, end: (database: Database, sid: string, userId: string) => Promise<unknown>]> = [
    ['a logout', ({ sessions }, sid) => sessions.end(sid)],
    ['the end of all sessions', ({ sessions }, _, userId) => sessions.endAll(userId)],
    ['a new password', ({ users }, _, userId) => users.setPassword(userId, 'new hash', 5)],
    ['the deletion of the account', ({ users }, _, userId) => users.remove(userId, NO_HOLD)]
  ]
  for (const [what, end] of cases) {
    t.test(`beside ${what} is undone by it, with the token that it gave`, async (t) => {
      const [one, other] = await openTwice(t)
      for (const round of rounds()) {
        const user = await one.users.add(newUser(round))
        const begun = await one.sessions.add(newSession(round, round), user)

        const [result] = await Promise.all([one.sessions.rotate(round, 0, rotationAt(500)), end(other, round, round)])

        t.equal(await one.sessions.findById(round), undefined, round)
        const revocation = (await one.revocations.since(0)).find(({ revokedId }) => revokedId === round)
        const session = 'session' in result ? result.session : begun!
        t.equal(revocation?.until, session.accessExpiresAt, 'it is blocked for as long as its last token lives')
        for (const { list, index } of session.statusEntries) t.ok((await one.statusLists.revoked(list)).includes(index), 'its bit is set')
      }
    })
  }
})

t.test('Two processes', async (t) => {
  t.test('that end a session at once: one does, and it is revoked once', async (t) => {
    const [one, other] = await openTwice(t)
    const user = await one.users.add(newUser('a'))
    for (const round of rounds()) {
      await one.sessions.add(newSession(round, 'a'), user)

      const ended = await Promise.all([one.sessions.end(round), other.sessions.endAll('a'), other.sessions.end(round)])

      t.same(ended.flat(), [{ id: round, userId: 'a' }])
      t.equal((await revokedIds(one)).filter((id) => id === round).length, 1)
    }
  })

  t.test('that both begin without a key: one is added', async (t) => {
    for (const round of rounds()) {
      const [one, other] = await openTwice(t)

      const added = await Promise.all([one, other].map(({ signingKeys }, i) => signingKeys.add(newKey(`key ${i}`, 0), undefined, 0)))

      t.same(added.toSorted(), [false, true])
      t.same((await one.signingKeys.list()).map(({ kid }) => kid), [added[0] ? 'key 0' : 'key 1'], round)
    }
  })

  t.test('that both rotate the key: one is added, and each other has one successor', async (t) => {
    const [one, other] = await openTwice(t)
    await one.signingKeys.add(newKey('first', 0), undefined, 0)
    let last = 'first'
    for (const [i, round] of rounds().entries()) {
      const signsFrom = (i + 1) * 100
      const add = ({ signingKeys }: Database, kid: string) => signingKeys.add(newKey(kid, signsFrom), last, signsFrom + 15)

      const added = await Promise.all([add(one, `${round} one`), add(other, `${round} other`)])

      t.same(added.toSorted(), [false, true], round)
      last = `${round} ${added[0] ? 'one' : 'other'}`
      const keys = await other.signingKeys.list()
      t.equal(keys.at(-1)?.kid, last)
      t.same(keys.map(({ signsFrom }) => signsFrom), keys.map((_, i) => i * 100))
      t.equal(keys.filter(({ retiresAt }) => retiresAt === null).length, 1, 'one does not retire')
    }
  })

  t.test('of which one revokes the key and the other rotates it: there is one that signs, and the revoked is gone', async (t) => {
    for (const round of rounds()) {
      const [one, other] = await openTwice(t)
      await one.signingKeys.add(newKey('old', 0), undefined, 0)
      const revocation = { successor: newKey('successor', 50), until: 999, now: 50, signingAt }

      const [isRevoked, isAdded] = await Promise.all([
        one.signingKeys.revoke('old', revocation),
        other.signingKeys.add(newKey('next', 100), 'old', 115)
      ])

      const keys = await one.signingKeys.list()
      t.equal(isRevoked, true)
      t.same(keys.map(({ kid, signsFrom }) => [kid, signsFrom]), [[isAdded ? 'next' : 'successor', 50]], round)
      t.same(await revokedIds(other), ['old'])
    }
  })

  t.test('that revoke one key at once: one does', async (t) => {
    const [one, other] = await openTwice(t)
    await one.signingKeys.add(newKey('old', 0), undefined, 0)
    const revoke = ({ signingKeys }: Database, kid: string) =>
      signingKeys.revoke('old', { successor: newKey(kid, 50), until: 999, now: 50, signingAt })

    const revoked = await Promise.all([revoke(one, 'a'), revoke(other, 'b')])

    t.same(revoked.toSorted(), [false, true])
    t.equal((await one.signingKeys.list()).length, 1)
  })

  t.test('of which one takes the name that the other gives up: it is kept', async (t) => {
    const [one, other] = await openTwice(t)
    const hold = { now: 0, until: 100, keyOf: (name: string) => `key of ${name}` }
    for (const round of rounds()) {
      await one.users.add(newUser(`${round} a`, { username: round }))
      await one.users.add(newUser(`${round} b`))

      const results = await Promise.allSettled([
        one.users.remove(`${round} a`, hold),
        other.users.rename(`${round} b`, { username: round, usernameKey: round }, hold)
      ])

      t.same(results.map(outcomeOf), [true, 'username_taken'], round)
    }
  })
})
