import t from 'tap'
import { NO_HOLD } from '../../helper.ts'
import { ROUNDS, openTestDatabase, openTwice } from './database.ts'
import { allEvents, newEntry, newSession, newUser } from './rows.ts'
import type { Permit } from '../../../db/audit-entry.ts'
import type { Database } from '../../../db/index.ts'

type Revoke = (database: Database, name: string) => Promise<unknown>

const kinds: Array<[what: string, permit: (name: string) => Permit, code: string, revoke: Revoke]> = [
  ['a session', (name) => ({ sid: name, jti: 'other' }), 'token_revoked', ({ sessions }, name) => sessions.end(name)],
  ['all sessions of its account', (name) => ({ sid: name, jti: 'other' }), 'token_revoked', ({ sessions }, name) => sessions.endAll(name)],
  ['an access token', (name) => ({ sid: 'other', jti: name }), 'token_revoked', ({ revocations }, name) => revocations.add(name, 1000)],
  ['an API client', (name) => ({ clientId: name }), 'invalid_client', ({ apiClients }, name) => apiClients.remove(name)]
]

/** What the permits of a name are for: an account with a session, and a client. */
async function prepare ({ apiClients, sessions, users }: Database, name: string) {
  await sessions.add(newSession(name, name), await users.add(newUser(name)))
  await apiClients.add({ id: name, secretHash: '-', createdAt: 0 })
}

for (const [what, permit, code, revoke] of kinds) {
  t.test(`A permit by ${what}`, async (t) => {
    t.test('lets an operation write, until it was revoked by another process', async (t) => {
      const [one, other] = await openTwice(t)
      await prepare(one, 'a')
      const rename = (name: string) => one.users.update('a', { name }, NO_HOLD, { ...newEntry(1), permit: permit('a') })

      t.match(await rename('before'), { name: 'before' })
      await revoke(other, 'a')
      await t.rejects(rename('after'), { code })

      t.match(await one.users.findById('a'), { name: 'before' })
      t.equal((await allEvents(one)).length, 1)
    })

    t.test('that is revoked while an operation is under way: nothing is written after the answer of the revocation', async (t) => {
      const [one, other] = await openTwice(t)
      await one.users.add(newUser('target'))
      for (let i = 0; i < ROUNDS; i++) {
        const name = `round ${i}`
        await prepare(one, name)
        let revoked: Promise<unknown> | undefined
        const entry = {
          ...newEntry(1),
          permit: permit(name),
          toEvent () {
            revoked ??= revoke(other, name).then(() => other.users.findById('target')) // an operation may run twice
            return newEntry(1).toEvent()
          }
        }

        const [result] = await Promise.allSettled([one.users.update('target', { name }, NO_HOLD, entry)])
        const seen = await revoked
        const last = await other.users.findById('target')

        t.same(seen, last, name)
        t.equal(last?.name === name, result.status === 'fulfilled', name)
        if (result.status === 'rejected') t.match(result.reason, { code }, name)
      }
    })

    t.test('that is revoked beside an operation: nothing is written after the answer of the revocation', async (t) => {
      const [one, other] = await openTwice(t)
      await one.users.add(newUser('target'))
      for (let i = 0; i < ROUNDS; i++) {
        const name = `round ${i}`
        await prepare(one, name)
        const operation = one.users.update('target', { name }, NO_HOLD, { ...newEntry(1), permit: permit(name) })

        const [result, seen] = await Promise.allSettled([operation, revoke(other, name).then(() => other.users.findById('target'))])
        const last = await other.users.findById('target')

        t.same(seen, { status: 'fulfilled', value: last }, name)
        t.equal(last?.name === name, result.status === 'fulfilled', name)
        if (result.status === 'rejected') t.match(result.reason, { code }, name)
      }
    })

    t.test('lets an operation revoke the permit itself', async (t) => {
      const one = await openTestDatabase(t)
      await prepare(one, 'a')

      await t.resolves(one.sessions.end('a', undefined, { ...newEntry(1), permit: permit('a') }))

      t.equal(await one.sessions.findById('a'), undefined)
      t.equal((await allEvents(one)).length, 1)
    })
  })
}
