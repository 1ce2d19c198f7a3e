import { sessionEnder } from './end-sessions.ts'
import { execute, queryOne } from './engine.ts'
import { FIND, UPDATE, toSession } from './rotation-rows.ts'
import type { Operation } from './engine.ts'
import type { Change, Row } from './rotation-rows.ts'
import type { Session } from './schema/index.ts'
import type { PlaceFor } from './status-places.ts'
import type { Dialect } from './store.ts'

/** The times that change when a session is used. */
export type SessionTimes = Pick<Session, 'lastUsedAt' | 'expiresAt' | 'accessExpiresAt'>

/** The address and the User-Agent of a caller. */
export type Place = Pick<Session, 'ip' | 'userAgent'>

/** The rules of one rotation. Times in milliseconds. */
export interface Rotation {
  now: number
  /** Where the token came from. */
  place: Place
  /** Tells whether that is where the session was refreshed last. */
  isSamePlace: (session: Session) => boolean
  /** The times of a session of this age when it is used now. */
  timesOf: (createdAt: number) => SessionTimes
  /** For how long a token one generation behind is answered instead of ending the session. */
  grace: number
  /** Tells whether the newest access token of a session was seen in use. */
  isInUse: (session: Session) => boolean
  /** The most access tokens of one session that may be good at the same time. */
  mostLiveTokens: number
}

/**
 * The session as it is now. A `reused` token has ended its session. With `too_many_tokens` the session is as it was, and
 * stays so until `until`.
 */
export type RotationResult =
  | { outcome: 'rotated' | 'rotated_elsewhere' | 'replayed_in_grace' | 'reused', session: Session }
  | { outcome: 'too_many_tokens', until: number }
  | { outcome: 'expired' | 'unknown' }

/** The session after one more rotation. */
function advance (session: Session, rotation: Rotation): Session {
  const times = rotation.timesOf(session.createdAt)
  return {
    ...session,
    ...times,
    ...rotation.place,
    generation: session.generation + 1,
    accessExpiresAt: Math.max(session.accessExpiresAt, times.accessExpiresAt) // the setting may have been shortened meanwhile
  }
}

/**
 * Trades a generation of a session for the next one, inside an operation that locks its row: nothing comes between reading and
 * writing. A token that lost a race or an answer (one generation behind, inside the grace) gets the same new tokens again where
 * the winner was. From elsewhere, before the new tokens were seen in use, it gets the next ones: a client that moved never
 * presents those that it lost, and a thief makes the owner do so. Any other old one was stolen, and ends the session.
 * Each rotation costs as much as the session has live tokens, so there are no more of them than `mostLiveTokens`.
 */
export function sessionRotation (dialect: Dialect, placeFor: PlaceFor) {
  const end = sessionEnder(dialect)
  const find = dialect.text<[id: string], Row>(FIND, FIND, { locks: true })
  const update = dialect.text<Change>(UPDATE)

  function * rotate (session: Session, rotation: Rotation, outcome: 'rotated' | 'rotated_elsewhere'): Operation<RotationResult> {
    const live = session.statusEntries.filter(({ until }) => until > rotation.now)
    if (live.length >= rotation.mostLiveTokens) {
      return { outcome: 'too_many_tokens', until: Math.min(...live.map(({ until }) => until)) }
    }

    const next = advance(session, rotation)
    next.statusEntries = [...live, yield * placeFor(rotation.timesOf(session.createdAt).accessExpiresAt, rotation.now)]
    const { id, generation, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, statusEntries } = next
    yield * execute(update, [generation, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, JSON.stringify(statusEntries), id])
    return { outcome, session: next }
  }

  return function * (id: string, generation: number, rotation: Rotation): Operation<RotationResult> {
    const row = yield * queryOne(find, [id])
    if (!row) return { outcome: 'unknown' }

    const session = toSession(id, row)
    if (session.expiresAt <= rotation.now) return { outcome: 'expired' }
    if (session.generation === generation) return yield * rotate(session, rotation, 'rotated')

    if (session.generation === generation + 1 && isInGrace(session, rotation)) {
      if (rotation.isSamePlace(session)) return { outcome: 'replayed_in_grace', session }
      if (!rotation.isInUse(session)) return yield * rotate(session, rotation, 'rotated_elsewhere')
    }

    yield * end.one(id)
    return { outcome: 'reused', session }
  }
}

/** Clocks are set back by less than that to be right: more makes no grace longer. */
const CLOCK_STEP_MILLISECONDS = 1000

function isInGrace ({ lastUsedAt }: Session, { now, grace }: Rotation): boolean {
  const elapsed = now - lastUsedAt
  return elapsed > -CLOCK_STEP_MILLISECONDS && elapsed < grace
}
