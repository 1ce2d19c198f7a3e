import { strict as assert } from 'node:assert'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { NO_HOLD, bearer } from '../helper.ts'
import { assertAnswer, kind, pickSession, pickToken, sendAs, which } from './play.ts'
import type { Play } from './play.ts'
import type { Person } from './world.ts'

const WRONG_PASSWORD = 'not the password of anybody'

const anyone = fc.nat()

let passwords = 0

function pickPerson ({ world: { people } }: Play, index: number): Person {
  return people[index % people.length]!
}

/** Signs somebody in, unless they are disabled. */
export async function signIn ({ send, world }: Play, person: Person) {
  const answer = await send('POST', '/auth/login', {}, { username: person.username, password: person.password })
  if (person.isDisabled) return assertAnswer(answer, 403, 'account_disabled')
  assertAnswer(answer, 200)
  world.began(person, answer.json())
}

async function disable ({ service }: Play, { id }: Person, disabled: boolean) {
  await service().db.users.update(id, { disabled }, NO_HOLD)
}

/** Changes a password by a session that may do so, and gives the answer. */
async function changePassword (play: Play, index: number, current: string, next: string) {
  const session = pickSession(play, index)
  return sendAs(play, session, session.accessTokens.at(-1)!, 'POST', '/auth/password', { current_password: current, new_password: next })
}

export const people = [
  kind('somebody signs in', 80, { person: anyone }, (play, { person }) => signIn(play, pickPerson(play, person))),

  kind('somebody tries a wrong password', 6, { person: anyone }, async (play, { person }) => {
    const { username } = pickPerson(play, person)
    assertAnswer(await play.send('POST', '/auth/login', {}, { username, password: WRONG_PASSWORD }), 401, 'invalid_credentials')
  }),

  kind('somebody signs out', 12, { session: which, token: which, isRefresh: fc.boolean() }, async (play, { session: index, token: number, isRefresh }) => {
    const session = pickSession(play, index)
    if (isRefresh) {
      const fate = play.world.fateOf(session, session.refreshTokens.length - 1)
      const answer = await play.send('POST', '/auth/logout', bearer(pickToken(session.refreshTokens, number)))
      if (fate === 'rotated' || answer.statusCode !== 401) assertAnswer(answer, 204) // an expired one is there until it is forgotten
      assert.ok(fate !== 'over' || answer.statusCode === 401)
      session.isOver = true
      return
    }
    const answer = await sendAs(play, session, pickToken(session.accessTokens, number), 'POST', '/auth/logout')
    if (!answer) return
    assertAnswer(answer, 204)
    session.isOver = true
  }),

  kind('a client revokes a token', 12, { session: which, token: which, isRefresh: fc.constantFrom(false, false, false, true) }, async (play, { session: index, token: number, isRefresh }) => {
    const session = pickSession(play, index)
    const accessToken = pickToken(session.accessTokens, number)
    const token = isRefresh ? pickToken(session.refreshTokens, number) : accessToken.text
    if (!isRefresh && play.world.isGood(session, accessToken)) play.world.used(session, accessToken)
    const answer = await play.send('POST', '/oauth/revoke', play.client, { token })
    assertAnswer(answer, 200)
    if (isRefresh) session.isOver = true
    else if (!play.world.revokedKids.has(accessToken.kid)) { // what a revoked key signed is nobody's token
      play.world.revokedJtis.add(accessToken.jti) // also while the clock says that it has expired
    }
  }),

  kind('somebody signs out everywhere', 6, { session: which }, async (play, { session: index }) => {
    const session = pickSession(play, index)
    const answer = await sendAs(play, session, session.accessTokens.at(-1)!, 'POST', '/auth/logout/all')
    if (!answer) return
    assertAnswer(answer, 204)
    play.world.ended(session.person)
  }),

  kind('somebody ends a session', 10, { session: which, other: which }, async (play, { session: index, other: otherIndex }) => {
    const [session, other] = [pickSession(play, index), pickSession(play, otherIndex)]
    const isOwnAndLive = play.world.liveSessions(session.person).includes(other)
    const answer = await sendAs(play, session, session.accessTokens.at(-1)!, 'DELETE', `/auth/sessions/${other.id}`)
    if (!answer) return
    if (isOwnAndLive || answer.statusCode !== 404) assertAnswer(answer, 204)
    if (other.person === session.person) other.isOver = true
    else assertAnswer(answer, 404, 'not_found')
  }),

  kind('somebody changes the password', 8, { session: which, knowsIt: fc.constantFrom(true, true, true, false) }, async (play, { session: index, knowsIt }) => {
    const next = `umbrella number ${++passwords} is yellow`
    const { person } = pickSession(play, index)
    const answer = await changePassword(play, index, knowsIt ? person.password : WRONG_PASSWORD, next)
    if (!answer) return
    if (!knowsIt) return assertAnswer(answer, 403, 'wrong_password')
    assertAnswer(answer, 200)
    person.password = next
    play.world.ended(person)
    play.world.began(person, answer.json())
  }),

  kind('the operator disables an account', 6, { person: anyone }, async (play, { person: index }) => {
    const person = pickPerson(play, index)
    await disable(play, person, true)
    if (!person.isDisabled) play.world.ended(person)
    person.isDisabled = true
  }),

  kind('the operator enables an account', 60, { person: anyone }, async (play, { person: index }) => {
    const person = pickPerson(play, index)
    await disable(play, person, false)
    person.isDisabled = false
  }),

  kind('somebody signs in while the account is disabled', 6, { person: anyone }, async (play, { person: index }) => {
    const person = pickPerson(play, index)
    const login = play.send('POST', '/auth/login', {}, { username: person.username, password: person.password })
    await setImmediate() // the password is being checked
    await disable(play, person, true)
    const answer = await login
    if (answer.statusCode === 200) play.world.began(person, answer.json())
    else assert.ok(answer.statusCode === 401 || answer.statusCode === 403, answer.body)
    person.isDisabled = true
    play.world.ended(person)
  })
]
