import { strict as assert } from 'node:assert'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { NO_HOLD, bearer } from '../helper.ts'
import { assertAnswer, kind, pickSession, pickToken, sendAs, waitUntil, which } from './play.ts'
import { GRACE, HOME } from './world.ts'
import type { Answer, Play } from './play.ts'
import type { Session } from './world.ts'

/** Presents the refresh token of a generation, several times at once, and asserts that each answer is what it must be. */
async function present (play: Play, session: Session, generation: number, times: number, place = HOME): Promise<boolean> {
  const { send, world } = play
  const fate = world.fateOf(session, generation, place)
  const headers = { ...bearer(session.refreshTokens[generation]!), 'user-agent': place }

  const isMoved = fate === 'rotated_elsewhere' // which works once
  const answers = await Promise.all(Array.from({ length: isMoved ? 1 : times }, () => send('POST', '/auth/refresh', headers)))

  if (isMoved || fate === 'rotated' || fate === 'replayed_in_grace') {
    for (const answer of answers) assertAnswer(answer, 200)
    if (fate !== 'replayed_in_grace') world.rotated(session, answers[0]!.json().refresh_token, place, isMoved)
    for (const answer of answers) receive(play, session, answer)
    return true
  }

  for (const answer of answers) assertRefused(play, session, answer)
  if (fate === 'reused') session.isOver = true
  return false
}

function assertRefused ({ clock }: Play, { expiresAt }: Session, answer: Answer) {
  assertAnswer(answer, 401, 'token_revoked', ...clock.now() >= expiresAt ? ['token_expired'] : []) // until a job prunes it
}

/** Whoever is answered gets the one live refresh token. */
function receive ({ world }: Play, session: Session, answer: Answer) {
  const { access_token: accessToken, refresh_token: refreshToken } = answer.json()
  assert.equal(refreshToken, session.refreshTokens.at(-1), 'a second live generation')
  world.issued(session, accessToken)
}

/** What ends a session, while it is being refreshed. */
const enders: Record<string, (play: Play, session: Session) => Promise<unknown>> = {
  'its logout': ({ send }, { refreshTokens }) => send('POST', '/auth/logout', bearer(refreshTokens.at(-1)!)),
  'its replay': ({ send }, { refreshTokens }) => send('POST', '/auth/refresh', bearer(refreshTokens[0]!)),
  'a disabling': async ({ service }, { person }) => {
    await setImmediate() // as long as a request takes to arrive
    await service().db.users.update(person.id, { disabled: true }, NO_HOLD)
  },
  'a revocation': ({ client, send }, { refreshTokens }) => send('POST', '/oauth/revoke', client, { token: refreshTokens.at(-1)! })
}

export const refreshing = [
  kind('the client refreshes', 160, { session: which, lost: fc.boolean(), atOnce: fc.constantFrom(1, 1, 1, 2, 4) }, async (play, { session: index, lost, atOnce }) => {
    const session = pickSession(play, index)
    const isAnswered = await present(play, session, session.held, atOnce)
    if (isAnswered && !lost) session.held = session.refreshTokens.length - 1
  }),

  kind('somebody replays', 40, { session: which, behind: which }, async (play, { session: index, behind }) => {
    const session = pickSession(play, index)
    await present(play, session, Math.max(0, session.refreshTokens.length - 1 - behind), 1)
  }),

  kind('a thief replays, from elsewhere', 60, { session: which, behind: which }, async (play, { session: index, behind }) => {
    const session = pickSession(play, index)
    await present(play, session, Math.max(0, session.refreshTokens.length - 1 - behind), 1, 'elsewhere')
  }),

  kind('an answer is lost, and the client tries again as the grace ends', 20, { session: which, milliseconds: fc.constantFrom(-1, 0) }, async (play, { session: index, milliseconds }) => {
    const session = pickSession(play, index)
    await present(play, session, session.held, 1)
    waitUntil(play, session.lastUsedAt + GRACE + milliseconds)
    await present(play, session, session.held, 1)
  }),

  kind('the client refreshes while the session ends', 20, { session: which, by: fc.constantFrom(...Object.keys(enders)), before: fc.nat({ max: 2 }), after: fc.nat({ max: 2 }) }, async (play, { session: index, by, before, after }) => {
    const session = pickSession(play, index)
    const isFirstBorn = session.refreshTokens.length < 3 // a replay would be no theft yet
    if (by === 'its replay' && isFirstBorn) return
    const refresh = () => play.send('POST', '/auth/refresh', bearer(session.refreshTokens[session.held]!))
    const refreshes = (count: number) => Array.from({ length: count }, refresh)

    const isLive = play.clock.now() < session.expiresAt
    const first = refreshes(before)
    const ended = enders[by]!(play, session)
    const answers = await Promise.all([...first, ...refreshes(after)])
    await ended

    if (by === 'a disabling') {
      session.person.isDisabled = true
      play.world.ended(session.person)
    }
    if (by !== 'its replay' || isLive) session.isOver = true // a replay ends nothing that has expired
    for (const answer of answers) {
      if (answer.statusCode === 200) play.world.issued(session, answer.json().access_token)
      else assertRefused(play, session, answer)
    }
  }),

  kind('an access token is presented', 1000, { session: which, token: which, at: fc.constantFrom('/secret', '/verify') }, async (play, { session: index, token: number, at }) => {
    const session = pickSession(play, index)
    const answer = await sendAs(play, session, pickToken(session.accessTokens, number), 'GET', at)
    if (answer) assertAnswer(answer, 200)
  }),

  kind('a token is introspected', 240, { session: which, token: which, isRefresh: fc.boolean() }, async (play, { session: index, token: number, isRefresh }) => {
    const session = pickSession(play, index)
    const accessToken = pickToken(session.accessTokens, number)
    const token = isRefresh ? pickToken(session.refreshTokens, number) : accessToken.text
    const isGood = isRefresh ? play.world.fateOf(session, session.refreshTokens.indexOf(token)) === 'rotated' : play.world.isGood(session, accessToken)

    if (!isRefresh && isGood) play.world.used(session, accessToken)
    const answer = await play.send('POST', '/oauth/introspect', play.client, { token })

    assert.equal(answer.json().active, isGood, answer.body)
  })
]
