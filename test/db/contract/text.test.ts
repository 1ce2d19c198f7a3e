import t from 'tap'
import { NO_HOLD } from '../../helper.ts'
import { openTestDatabase } from './database.ts'
import { allEvents, newEntry, newKey, newSession, newUser, rotationAt, signingAt } from './rows.ts'
import type { Database } from '../../../db/index.ts'
import type { User } from '../../../db/schema/index.ts'

/** Texts that an engine may not take as they are: PostgreSQL has no NUL, and UTF-8 no half of a character. */
const TEXTS = {
  'a NUL': 'a\0b',
  'a NUL at its beginning': '\0',
  'the first half of a surrogate pair': 'a\ud83e',
  'the second half of a surrogate pair': '\udd80b',
  'the highest character': '\u{10ffff}',
  'no character that is one': '\ufffe\uffff\ufeff',
  'a quotation': '\'"\\$1 ? :x --'
}

/** A text that is refused is refused with this code, by whichever engine. */
const REFUSAL = 'invalid_text'

const WINDOW = { max: 2, windowMilliseconds: 1000 }

/** Gives what a write or a query gave, or the refusal of its text; anything else is an error that nobody foresaw. */
async function orRefused<T> (promise: Promise<T>): Promise<{ value: T } | typeof REFUSAL> {
  try {
    return { value: await promise }
  } catch (error) {
    if ((error as { code?: unknown }).code === REFUSAL) return REFUSAL
    throw error
  }
}

/** Whole characters are kept to the letter. Half of one is no text: an engine stores another in its place, and nobody finds it. */
function isKept (found: string | null | undefined, text: string): boolean {
  return found === text || !text.isWellFormed()
}

/** Every event, if each follows from the one before it. */
async function wholeChain (database: Database) {
  const { broken } = await database.audit.verify()
  if (broken !== undefined) throw new Error(`The chain is broken at event ${broken}.`)
  return allEvents(database)
}

/** Writes a text, and gives it as it is found again, wherever it is. There is an account with the id of the user, and its session `s`. */
type Write = (database: Database, text: string, user: User, s: string) => Promise<Array<string | null | undefined>>

/** Texts that are stored. */
const stored: Record<string, Write> = {
  async 'the id of an account' ({ users }, text) {
    await users.add(newUser(text, { username: 'whose id it is' }))
    return [(await users.findById(text))?.id]
  },
  async 'a username' ({ users }, text) {
    await users.add({ ...newUser('whose username it is'), username: text, usernameKey: text })
    const user = await users.findByUsername(text)
    return [user?.username, user?.usernameKey]
  },
  async 'an e-mail address' ({ users }, text) {
    await users.add({ ...newUser('whose address it is'), email: text })
    return [(await users.findByEmail(text))?.email]
  },
  async 'a name' ({ users }, text, { id }) {
    return [(await users.update(id, { name: text }, NO_HOLD))?.name, (await users.findById(id))?.name]
  },
  async 'a role' ({ sessions, users }, text, { id }) {
    const user = await users.update(id, { roles: [text] }, NO_HOLD)
    await sessions.add(newSession('with roles', id, { roles: user!.roles }), user!)
    return [user?.roles[0], (await sessions.findById('with roles'))?.roles[0], (await users.findById(id))?.roles[0]]
  },
  async 'a new username' ({ users }, text, { id }) {
    return [(await users.rename(id, { username: text, usernameKey: text }, NO_HOLD)).usernameKey]
  },
  async 'a password hash' ({ users }, text, { id }) {
    await users.setPassword(id, text, 1)
    return [(await users.findById(id))?.passwordHash]
  },
  async 'a newer password hash' ({ users }, text, user) {
    await users.rehash(user, text)
    return [(await users.findById(user.id))?.passwordHash]
  },
  async 'the key of a name that was given up' ({ users }, text, { id }) {
    const hold = { now: 0, until: 100, keyOf: () => text }
    await users.add(newUser('who gave it up'))
    await users.remove('who gave it up', hold)
    const refused = await users.rename(id, { username: 'new', usernameKey: 'new' }, hold).catch(({ code }) => code)
    return [refused === 'username_taken' ? text : 'not kept']
  },
  async 'the id of a session' ({ sessions }, text, user) {
    await sessions.add(newSession(text, user.id), user)
    return [(await sessions.findById(text))?.id]
  },
  async 'the address of a session' ({ sessions }, text, user) {
    await sessions.add(newSession('with an address', user.id, { ip: text }), user)
    return [(await sessions.findById('with an address'))?.ip]
  },
  async 'the User-Agent of a session' ({ sessions }, text, user) {
    await sessions.add(newSession('with a browser', user.id, { userAgent: text }), user)
    return [(await sessions.list(user.id, 0)).find(({ id }) => id === 'with a browser')?.userAgent]
  },
  async 'the place of a refresh' ({ sessions }, text, _user, s) {
    await sessions.rotate(s, 0, rotationAt(1, { place: { ip: text, userAgent: text } }))
    const session = await sessions.findById(s)
    return [session?.ip, session?.userAgent]
  },
  async 'a revoked token' ({ revocations }, text) {
    await revocations.add(text, 1000)
    return [(await revocations.since(0)).at(-1)?.revokedId]
  },
  async 'the id of a session that ends' ({ revocations, sessions }, text, user) {
    await sessions.add(newSession(text, user.id), user)
    await sessions.end(text, user.id)
    return [(await revocations.since(0)).at(-1)?.revokedId]
  },
  async 'the id of an API client' ({ apiClients }, text) {
    await apiClients.add({ id: text, secretHash: '-', createdAt: 0 })
    return [(await apiClients.findById(text))?.id]
  },
  async 'the hash of a secret' ({ apiClients }, text) {
    await apiClients.add({ id: 'whose secret it is', secretHash: text, createdAt: 0 })
    return [(await apiClients.findById('whose secret it is'))?.secretHash]
  },
  async 'a key id' ({ revocations, signingKeys }, text) {
    await signingKeys.add(newKey(text, 0), undefined, 0)
    const [key] = await signingKeys.list()
    await signingKeys.revoke(text, { successor: newKey('first', 0), until: 1, now: 0, signingAt })
    return [key?.kid, (await revocations.since(0)).at(-1)?.revokedId]
  },
  async 'a public key' ({ signingKeys }, text) {
    const last = (await signingKeys.list()).at(-1)?.kid
    await signingKeys.add({ ...newKey('next', 0), publicKey: text, algorithm: text }, last, 0)
    const key = (await signingKeys.list()).at(-1)
    return [key?.publicKey, key?.algorithm]
  },
  async 'the key of a count of requests' ({ requestCounts }, text) {
    await requestCounts.add(text, WINDOW, 0)
    return [(await requestCounts.add(text, WINDOW, 0)).count === 2 ? text : 'not counted']
  },
  async 'the key of wrong passwords' ({ signInLimits }, text) {
    const buckets = { pair: { key: text, ...WINDOW }, others: [], knownPair: text }
    for (const time of [0, 0]) await signInLimits.admit(buckets, time)
    return ['closed' in await signInLimits.admit(buckets, 0) ? text : 'not counted']
  },
  async 'a known pair' ({ signInLimits }, text) {
    await signInLimits.forgive([], { key: text, until: 1000 })
    const buckets = { pair: { key: 'pair', ...WINDOW }, others: [{ key: 'other', ...WINDOW }], knownPair: text }
    const attempt = await signInLimits.admit(buckets, 0)
    return ['counts' in attempt && attempt.counts.length === 1 ? text : 'not known']
  },
  async 'the name of a state' ({ serviceState }, text) {
    await serviceState.record({ [text]: 'named so' }, 0)
    return Object.entries(await serviceState.read()).filter(([, value]) => value === 'named so').map(([name]) => name)
  },
  async 'a state' ({ serviceState }, text) {
    await serviceState.record({ name: text }, 0)
    return [(await serviceState.read()).name]
  },
  async 'the name of a job' ({ jobs }, text) {
    const claims = [await jobs.claim(text, 100, 0), await jobs.claim(text, 100, 0)]
    return [String(claims) === 'true,false' ? text : String(claims)]
  },
  async 'a permit' ({ apiClients, revocations, users }, text, { id }) {
    await revocations.add(text, 1000)
    await apiClients.add({ id: text, secretHash: '-', createdAt: 0 })
    const rename = (permit: { clientId: string } | { sid: string, jti: string }) =>
      users.update(id, { name: 'Ada' }, NO_HOLD, { ...newEntry(1), permit }).then(() => 'done', ({ code }) => code)
    const outcomes = [await rename({ sid: 'x', jti: text }), await rename({ sid: text, jti: 'x' }), await rename({ clientId: text })]
    return [String(outcomes) === 'token_revoked,token_revoked,done' ? text : String(outcomes)]
  }
}

/** Columns of an event. */
const COLUMNS = ['event', 'outcome', 'actorId', 'subject', 'session', 'target', 'ip', 'userAgent', 'requestId'] as const

for (const column of COLUMNS) {
  stored[`${column} of an event`] = async (database, text) => {
    await database.audit.add(newEntry(1, { [column]: text }))
    await database.audit.add(newEntry(2))
    const [event, next] = (await wholeChain(database)).slice(-2)
    return [event?.[column], next?.at === 2 ? text : 'no other event']
  }
}

stored['a detail of an event'] = async (database, text) => {
  await database.audit.add(newEntry(1, { details: { [text]: [text] } }))
  const event = (await wholeChain(database)).at(-1)
  const [[name, values] = []] = Object.entries(event!.details as Record<string, string[]>)
  return [name, values?.[0]]
}

/** Texts that are asked for, and that nobody stored: they find nothing, and do nothing. */
const asked: Record<string, (database: Database, text: string, user: User) => Promise<unknown>> = {
  'users.findById': ({ users }, text) => users.findById(text),
  'users.findByUsername': ({ users }, text) => users.findByUsername(text),
  'users.findByEmail': ({ users }, text) => users.findByEmail(text),
  'users.list': ({ users }, text) => users.list({ limit: 10, prefix: { usernameKey: text, email: text } }),
  'users.update': ({ users }, text) => users.update(text, { name: 'Ada' }, NO_HOLD),
  'users.setPassword': ({ users }, text) => users.setPassword(text, 'hash', 1),
  'users.remove': ({ users }, text) => users.remove(text, NO_HOLD),
  'sessions.add, the account': ({ sessions }, text, user) => sessions.add(newSession('new', text), user),
  'sessions.findById': ({ sessions }, text) => sessions.findById(text),
  'sessions.rotate': async ({ sessions }, text) => (await sessions.rotate(text, 0, rotationAt(1))).outcome === 'unknown' ? [] : 'found',
  'sessions.list': ({ sessions }, text) => sessions.list(text, 0),
  'sessions.end': ({ sessions }, text) => sessions.end(text),
  'sessions.end, of an account': ({ sessions }, text) => sessions.end('s', text),
  'sessions.endAll': ({ sessions }, text) => sessions.endAll(text),
  'statusLists.revoked': ({ statusLists }, text) => statusLists.revoked(text),
  'apiClients.findById': ({ apiClients }, text) => apiClients.findById(text),
  'apiClients.remove': ({ apiClients }, text) => apiClients.remove(text),
  'signingKeys.add, the last key': ({ signingKeys }, text) => signingKeys.add(newKey('k', 0), text, 0),
  'signingKeys.revoke': ({ signingKeys }, text) => signingKeys.revoke(text, { successor: newKey('k', 0), until: 1, now: 0, signingAt }),
  'audit.list, by account': async ({ audit }, text) => (await audit.list({ limit: 1, subject: text })).events,
  'audit.list, by request': async ({ audit }, text) => (await audit.list({ limit: 1, requestId: text })).events,
  'audit.list, by event': async ({ audit }, text) => (await audit.list({ limit: 1, event: text })).events,
  'audit.verify': async ({ audit }, text) => (await audit.verify(text)).hasHead,
  'audit.sessionEnd': ({ audit }, text) => audit.sessionEnd(text),
  'audit.sessionEnd, of an account': ({ audit }, text) => audit.sessionEnd('x', text),
  'audit.lastOf': ({ audit }, text) => audit.lastOf(text)
}

for (const [what, text] of Object.entries(TEXTS)) {
  t.test(`A text with ${what}`, async (t) => {
    const database = await openTestDatabase(t)
    const { revocations, serviceState, sessions, users } = database

    for (const [i, [name, write]] of Object.entries(stored).entries()) {
      t.test(`is kept or refused as ${name}`, async (t) => {
        const user = await users.add(newUser(`user ${i}`))
        await sessions.add(newSession(`session ${i}`, user.id), user)
        const unique = `${text}${i}`

        const outcome = await orRefused(write(database, unique, user, `session ${i}`))

        t.ok(outcome === REFUSAL || outcome.value.every((found) => isKept(found, unique)), JSON.stringify(outcome))
        await t.resolves(serviceState.record({ last: name }, 1), 'and all goes on')
      })
    }

    t.test('finds nothing, or is refused, where nothing is', async (t) => {
      const user = await users.add(newUser('a'))
      await sessions.add(newSession('s', 'a'), user)
      for (const [name, ask] of Object.entries(asked)) {
        const outcome = await orRefused(ask(database, `${text} nowhere`, user))

        const found = outcome === REFUSAL ? undefined : outcome.value
        t.ok(!found || (Array.isArray(found) && found.length === 0), `${name}: ${JSON.stringify(found)}`)
      }
      t.ok(await orRefused(users.hashNextTo(text)), 'but the account next to it')
      t.ok(await users.findById('a'))
      t.ok(await sessions.findById('s'))
    })

    t.test('as the list of a token sets no bit, and its token is revoked, or nothing is', async (t) => {
      const before = (await revocations.since(0)).length

      const outcome = await orRefused(revocations.add('of a list', 1000, { list: text, index: 1, until: 1000 }))

      t.equal((await revocations.since(0)).length - before, outcome === REFUSAL ? 0 : 1)
    })
  })
}
