import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { kind, pickSession, waitUntil, which } from './play.ts'
import { createClock } from '../helper.ts'
import { GRACE } from './world.ts'
import type { Play } from './play.ts'
import type { Session } from './world.ts'

/** When all clocks begin. */
const BEGINNING = createClock().now()

/** The moments at which something changes for a session. */
const moments: Record<string, (session: Session) => number> = {
  'the grace ends': ({ lastUsedAt }) => lastUsedAt + GRACE,
  'the access token expires': ({ accessTokens }) => accessTokens.at(-1)!.expiresAt,
  'the session expires': ({ expiresAt }) => expiresAt
}

/** Asserts that the service says of every session and access token of the world what the model says. */
export async function assertAgreement ({ clock, service, world }: Play) {
  const { accessTokens, db, sessions } = service()
  for (const person of world.people) {
    const listed = await db.sessions.list(person.id, clock.now())
    assert.deepEqual(listed.map(({ id }) => id).sort(), world.liveSessions(person).map(({ id }) => id).sort(), 'the live sessions')
  }
  for (const session of world.sessions) {
    const [last, lastButOne] = session.refreshTokens.toReversed()
    const isLive = world.fateOf(session, session.refreshTokens.length - 1) === 'rotated'
    assert.equal(await sessions.find(last!) !== undefined, isLive, 'the live generation')
    if (lastButOne) assert.equal(await sessions.find(lastButOne), undefined, 'a second live generation')
    for (const token of session.accessTokens) {
      assert.equal(await accessTokens.read(token.text) !== undefined, world.isGood(session, token), token.text)
      if (world.isGood(session, token)) world.used(session, token)
    }
  }
}

export const surroundings = [
  kind('time passes', 240, { seconds: fc.oneof({ weight: 95, arbitrary: fc.integer({ min: 1, max: 9 }) }, { weight: 4, arbitrary: fc.integer({ min: 10, max: 120 }) }, { weight: 1, arbitrary: fc.integer({ min: 121, max: 4000 }) }) }, async ({ clock }, { seconds }) => {
    clock.advance(seconds)
  }),

  kind('time passes until', 40, { session: which, moment: fc.constantFrom(...Object.keys(moments).flatMap((name, i) => Array.from({ length: [6, 3, 1][i]! }, () => name))), milliseconds: fc.constantFrom(-1, 0, 1) }, async (play, { session, moment, milliseconds }) => {
    waitUntil(play, moments[moment]!(pickSession(play, session)) + milliseconds)
  }),

  kind('the clock is set', 12, { minutes: fc.constantFrom(-300, -20, -5, 0, 0, 0, 5, 20, 300) }, async ({ clock }, { minutes }) => {
    clock.set(minutes * 60 - (clock.now() - clock.uptime() - BEGINNING) / 1000)
  }),

  kind('a key is rotated', 6, { at: fc.constantFrom('now', 'when published') }, async ({ clock, service }, { at }) => {
    await service().signingKeys.rotate(at === 'now' ? clock.now() : undefined)
  }),

  kind('a key is revoked', 6, { key: which }, async ({ service, world }, { key }) => {
    const { signingKeys } = service()
    const { kid } = signingKeys.all().at(key % signingKeys.all().length)!
    await signingKeys.revoke(kid)
    world.revokedKids.add(kid)
  }),

  kind('the jobs run', 20, {}, async ({ service }) => {
    const { blocklist, db, forgetBefore, sessions, signingKeys } = service()
    await blocklist.prune()
    await sessions.prune()
    await signingKeys.rotateWhenDue()
    await db.statusLists.prune(forgetBefore())
  }),

  kind('all is checked', 10, {}, assertAgreement),

  kind('the service restarts', 1, {}, async (play) => {
    await play.restart()
    play.world.restarted()
    await assertAgreement(play)
  })
]
