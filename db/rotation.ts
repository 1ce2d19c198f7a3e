import { sessionEnder } from './end-sessions.ts'
import { FIND, UPDATE, toSession } from './rotation-rows.ts'
import { statusPlaces } from './status-places.ts'
import type { Connection } from './connection.ts'
import type { Change, Row } from './rotation-rows.ts'
import type { Session } from './schema/index.ts'

/** The times that change when a session is used. */
export type SessionTimes = Pick<Session, 'lastUsedAt' | 'expiresAt' | 'accessExpiresAt'>

/** The rules of one rotation. Times in milliseconds. */
export interface Rotation {
  now: number
  /** The times of a session of this age when it is used now. */
  timesOf: (createdAt: number) => SessionTimes
  /** Until when a token one generation behind is answered instead of ending the session. */
  grace: number
  /** The most access tokens of one session that may be good at the same time. */
  mostLiveTokens: number
}

/**
 * The session as it is now. A `reused` token has ended its session. With `too_many_tokens` the session is as it was, and
 * stays so until `until`.
 */
export type RotationResult =
  | { outcome: 'rotated' | 'replayed_in_grace' | 'reused', session: Session }
  | { outcome: 'too_many_tokens', until: number }
  | { outcome: 'expired' | 'unknown' }

/** The session after one more rotation. */
function advance (session: Session, rotation: Rotation): Session {
  const times = rotation.timesOf(session.createdAt)
  return {
    ...session,
    ...times,
    generation: session.generation + 1,
    accessExpiresAt: Math.max(session.accessExpiresAt, times.accessExpiresAt) // the setting may have been shortened meanwhile
  }
}

/**
 * Trades a generation of a session for the next one, inside an operation: nothing comes between reading and writing. A token
 * that lost a race (one generation behind, inside the grace) repeats the winner's answer; any other old one ends the session.
 * Each rotation costs as much as the session has live tokens, so there are no more of them than `mostLiveTokens`.
 */
export function sessionRotation (connection: Connection) {
  const { $client: client } = connection
  const placeFor = statusPlaces(connection)
  const end = sessionEnder(connection)
  const find = client.prepare<[id: string], Row>(FIND).raw()
  const update = client.prepare<Change>(UPDATE)

  function rotate (session: Session, rowid: number, rotation: Rotation): RotationResult {
    const live = session.statusEntries.filter(({ until }) => until > rotation.now)
    if (live.length >= rotation.mostLiveTokens) {
      return { outcome: 'too_many_tokens', until: Math.min(...live.map(({ until }) => until)) }
    }

    const next = advance(session, rotation)
    next.statusEntries = [...live, placeFor(next.accessExpiresAt, rotation.now)]
    const { generation, lastUsedAt, expiresAt, accessExpiresAt, statusEntries } = next
    update.run(generation, lastUsedAt, expiresAt, accessExpiresAt, JSON.stringify(statusEntries), rowid)
    return { outcome: 'rotated', session: next }
  }

  return (id: string, generation: number, rotation: Rotation): RotationResult => {
    const row = find.get(id)
    if (!row) return { outcome: 'unknown' }

    const session = toSession(id, row)
    if (session.expiresAt <= rotation.now) return { outcome: 'expired' }
    if (session.generation === generation) return rotate(session, row[0], rotation)

    const isInGrace = session.generation === generation + 1 && rotation.now - session.lastUsedAt < rotation.grace
    if (isInGrace) return { outcome: 'replayed_in_grace', session }

    end.one(id)
    return { outcome: 'reused', session }
  }
}
