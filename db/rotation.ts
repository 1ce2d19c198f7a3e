import { sessionEnder } from './end-sessions.ts'
import { FIND, UPDATE, toSession } from './rotation-rows.ts'
import { statusPlaces } from './status-places.ts'
import type { Connection } from './connection.ts'
import type { Change, Row } from './rotation-rows.ts'
import type { Session } from './schema/index.ts'

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
 * Trades a generation of a session for the next one, inside an operation: nothing comes between reading and writing. A token
 * that lost a race or an answer (one generation behind, inside the grace) gets the same new tokens again where the winner was.
 * From elsewhere, before the new tokens were seen in use, it gets the next ones: a client that moved never presents those that
 * it lost, and a thief makes the owner do so. Any other old one was stolen, and ends the session.
 * Each rotation costs as much as the session has live tokens, so there are no more of them than `mostLiveTokens`.
 */
export function sessionRotation (connection: Connection) {
  const { $client: client } = connection
  const placeFor = statusPlaces(connection)
  const end = sessionEnder(connection)
  const find = client.prepare<[id: string], Row>(FIND).raw()
  const update = client.prepare<Change>(UPDATE)

  function rotate (session: Session, rowid: number, rotation: Rotation, outcome: 'rotated' | 'rotated_elsewhere'): RotationResult {
    const live = session.statusEntries.filter(({ until }) => until > rotation.now)
    if (live.length >= rotation.mostLiveTokens) {
      return { outcome: 'too_many_tokens', until: Math.min(...live.map(({ until }) => until)) }
    }

    const next = advance(session, rotation)
    next.statusEntries = [...live, placeFor(rotation.timesOf(session.createdAt).accessExpiresAt, rotation.now)]
    const { generation, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, statusEntries } = next
    update.run(generation, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, JSON.stringify(statusEntries), rowid)
    return { outcome, session: next }
  }

  return (id: string, generation: number, rotation: Rotation): RotationResult => {
    const row = find.get(id)
    if (!row) return { outcome: 'unknown' }

    const session = toSession(id, row)
    if (session.expiresAt <= rotation.now) return { outcome: 'expired' }
    if (session.generation === generation) return rotate(session, row[0], rotation, 'rotated')

    if (session.generation === generation + 1 && isInGrace(session, rotation)) {
      if (rotation.isSamePlace(session)) return { outcome: 'replayed_in_grace', session }
      if (!rotation.isInUse(session)) return rotate(session, row[0], rotation, 'rotated_elsewhere')
    }

    end.one(id)
    return { outcome: 'reused', session }
  }
}

/** Clocks are set back by less than that to be right: more makes no grace longer. */
const CLOCK_STEP_MILLISECONDS = 1000

function isInGrace ({ lastUsedAt }: Session, { now, grace }: Rotation): boolean {
  const elapsed = now - lastUsedAt
  return elapsed > -CLOCK_STEP_MILLISECONDS && elapsed < grace
}
