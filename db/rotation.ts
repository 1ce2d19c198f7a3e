import { sessionEndings } from './ending.ts'
import { statusPlaces } from './status-lists.ts'
import type { Connection } from './index.ts'
import type { Session } from './sessions.ts'

/** How long a session lives unused, how long at all, and how long an access token does, in milliseconds. */
export interface Lifetimes { idleLifetime: number, maxAge: number, accessLifetime: number }

/** What one rotation needs to know. Times in milliseconds. */
export interface Rotation extends Lifetimes {
  now: number
  /** Until when a token one generation behind is answered instead of ending the session. */
  grace: number
  /** How many access tokens of one session may be good at the same time. */
  mostLiveTokens: number
}

/** The session as it is now. A `reused` token has ended its session, one that is too `crowded` till the time `until` is as it was. */
export type RotationOutcome =
  | { outcome: 'rotated' | 'repeated' | 'reused', session: Session }
  | { outcome: 'crowded', until: number }
  | { outcome: 'expired' | 'unknown' }

/** What a session says of its times when it is used. Access tokens expire on whole seconds, as their `exp` says it, and with their session at the latest. */
export function timesOf (createdAt: number, now: number, { idleLifetime, maxAge, accessLifetime }: Lifetimes) {
  const end = createdAt + maxAge
  return {
    lastUsedAt: now,
    expiresAt: Math.min(now + idleLifetime, end),
    accessExpiresAt: Math.floor(Math.min(now + accessLifetime, end) / 1000) * 1000
  }
}

/** A session after one more rotation. */
function advanced (session: Session, rotation: Rotation): Session {
  const times = timesOf(session.createdAt, rotation.now, rotation)
  return {
    ...session,
    ...times,
    generation: session.generation + 1,
    accessExpiresAt: Math.max(session.accessExpiresAt, times.accessExpiresAt) // the setting may have been shortened meanwhile
  }
}

/** A session as SQLite has it. */
type Row = [rowid: number, userId: string, generation: number, createdAt: number, lastUsedAt: number, expiresAt: number, accessExpiresAt: number, ip: string, userAgent: string | null, statusEntries: string, roles: string]

/** What a rotation writes. */
type Change = [generation: number, lastUsedAt: number, expiresAt: number, accessExpiresAt: number, statusEntries: string, rowid: number]

/**
 * Trades a generation of a session for the next one, inside a deed: it reads and writes, and nothing comes between. A token
 * that lost a race (one generation behind, inside the grace) repeats the winner's answer; any other old one ends the session.
 * Each rotation costs what the session's live tokens cost, so there are no more of them than `mostLiveTokens`.
 * Without Drizzle and names, which would make up a fifth of it.
 */
export function rotations (connection: Connection) {
  const { $client: client } = connection
  const placeFor = statusPlaces(connection)
  const end = sessionEndings(connection)
  const find = client.prepare<[id: string], Row>('select rowid, user_id, generation, created_at, last_used_at, expires_at, access_expires_at, ip, user_agent, status_entries, roles from sessions where id = ?').raw()
  const advance = client.prepare<Change>('update sessions set generation = ?, last_used_at = ?, expires_at = ?, access_expires_at = ?, status_entries = ? where rowid = ?')

  return (id: string, generation: number, rotation: Rotation): RotationOutcome => {
    const found = find.get(id)
    if (!found) return { outcome: 'unknown' }
    const [rowid, userId, current, createdAt, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, statusEntries, roles] = found
    if (expiresAt <= rotation.now) return { outcome: 'expired' }
    const lists = { statusEntries: JSON.parse(statusEntries) as Session['statusEntries'], roles: JSON.parse(roles) as Session['roles'] } // written as such, and by nobody else
    const session: Session = { id, userId, generation: current, createdAt, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, ...lists }

    if (current === generation) {
      const live = session.statusEntries.filter(({ until }) => until > rotation.now)
      if (live.length >= rotation.mostLiveTokens) return { outcome: 'crowded', until: Math.min(...live.map(({ until }) => until)) }

      const next = advanced(session, rotation)
      next.statusEntries = [...live, placeFor(next.accessExpiresAt, rotation.now)]
      advance.run(next.generation, next.lastUsedAt, next.expiresAt, next.accessExpiresAt, JSON.stringify(next.statusEntries), rowid)
      return { outcome: 'rotated', session: next }
    }
    if (current === generation + 1 && rotation.now - lastUsedAt < rotation.grace) return { outcome: 'repeated', session }

    end.one(id)
    return { outcome: 'reused', session }
  }
}
