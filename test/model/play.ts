import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { bearer } from '../helper.ts'
import type { createClock } from '../helper.ts'
import type { Arbitrary } from 'fast-check'
import type { FastifyInstance } from 'fastify'
import type { AccessToken, Session, World } from './world.ts'

/** A service and the model of it. */
export interface Play {
  world: World
  clock: ReturnType<typeof createClock>
  /** As it runs now. */
  service: () => FastifyInstance
  restart: () => Promise<void>
  send: (method: 'GET' | 'POST' | 'DELETE', url: string, headers?: Record<string, string>, payload?: object) => Promise<Answer>
  /** The header of a client that may introspect and revoke. */
  client: Record<string, string>
}

export type Answer = Awaited<ReturnType<FastifyInstance['inject']>>

/** One thing that happens to both. */
export interface Step {
  play: (play: Play) => Promise<void>
}

/** A kind of step, how often it happens among others, and what of it is left to chance. */
export function kind<Fields extends object> (name: string, weight: number, fields: { [Name in keyof Fields]: Arbitrary<Fields[Name]> }, play: (play: Play, fields: Fields) => Promise<void>) {
  const arbitrary = fc.record(fields, { noNullPrototype: true }).map((chosen): Step => Object.assign({ play: (scene: Play) => play(scene, chosen as Fields) }, { // `chosen` has all fields
    [fc.toStringMethod]: () => `${name} ${fc.stringify(chosen)}`
  }))
  return { weight, arbitrary }
}

/** Which of several: mostly the first ones, which are those that matter most. */
export const which = fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3, 4, 5)

/** Any session: the live ones come first, and the youngest of those. */
export function pickSession ({ world: { sessions } }: Play, index: number): Session {
  const youngestFirst = sessions.toReversed()
  const all = [...youngestFirst.filter(({ isOver }) => !isOver), ...youngestFirst.filter(({ isOver }) => isOver)]
  return all[index % all.length]!
}

/** Any token of a list, the newest first. */
export function pickToken<Token> (tokens: Token[], index: number): Token {
  return tokens.at(-1 - index % tokens.length)!
}

/** Lets time pass until so many milliseconds since 1970, unless it has. */
export function waitUntil ({ clock }: Play, time: number) {
  clock.advance(Math.max(0, time - clock.now()) / 1000)
}

/** Asserts that a request was answered with this status, and a refusal with one of these codes. */
export function assertAnswer ({ statusCode, body }: Answer, status: number, ...codes: string[]) {
  assert.equal(statusCode, status, body)
  if (codes.length > 0) assert.ok(codes.includes(JSON.parse(body).code), body)
}

/** The codes that may refuse an access token which is not good. */
export function refusalsOf ({ clock, world: { isTooYoung, revokedKids } }: Play, token: AccessToken): string[] {
  const { expiresAt, kid } = token
  if (isTooYoung(token)) return ['invalid_token']
  if (clock.now() >= expiresAt) return ['token_expired', 'invalid_token'] // its key may have retired with it
  return revokedKids.has(kid) ? ['token_revoked', 'invalid_token'] : ['token_revoked']
}

/** Sends what needs a good access token. Gives the answer where the token was good, and asserts that it was refused where it was not. */
export async function sendAs (play: Play, session: Session, token: AccessToken, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object): Promise<Answer | undefined> {
  const isGood = play.world.isGood(session, token)
  if (isGood) play.world.used(session, token)
  const answer = await play.send(method, url, bearer(token.text), payload)
  if (isGood) return answer
  assertAnswer(answer, 401, ...refusalsOf(play, token))
}
