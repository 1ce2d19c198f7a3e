import { setImmediate } from 'node:timers/promises'
import { and, desc, eq, getTableColumns, gt, lte, sql } from './drizzle.ts'
import { sessions, users } from './schema.ts'
import { sessionEndings } from './ending.ts'
import { statusPlaces } from './status-lists.ts'
import type { Note, NotedWrite } from './audit-chain.ts'
import type { EndedSession } from './ending.ts'
import type { Connection } from './index.ts'
import type { User } from './users.ts'

export type Session = typeof sessions.$inferSelect

/** A session that has just begun: its first token has no place in a status list yet. */
export type NewSession = Omit<Session, 'statusEntries'>

/** What the beginning of a session made of it, and the id of the one that ended for it because there were too many. */
export interface SessionStart { begun: Session, ended?: string }

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

/** The session and its user's roles as they are now. A `reused` token has ended its session, one that is too `crowded` till the time `until` is as it was. */
export type RotationOutcome =
  | { outcome: 'rotated' | 'repeated', session: Session, roles: User['roles'] }
  | { outcome: 'reused', session: Session }
  | { outcome: 'crowded', until: number }
  | { outcome: 'expired' | 'unknown' }

/** More than anybody has devices: what is beyond costs everybody the time to list and to end it. */
const MOST_SESSIONS = 1000

/** How many sessions are looked at in one turn when the expired ones are looked for: a fifth of a millisecond of them. */
const SLICE = 1000

/** Stores a session inside a deed, with a place in a status list for its first token. */
export function sessionInsert (connection: Connection) {
  const placeFor = statusPlaces(connection)
  const columns = Object.keys(getTableColumns(sessions))
  const values = Object.fromEntries(columns.map((name) => [name, sql.placeholder(name)])) as Record<keyof Session, ReturnType<typeof sql.placeholder>> // a session is these columns
  const insert = connection.insert(sessions).values(values).prepare()
  return (session: NewSession): Session => {
    const placed = { ...session, statusEntries: [placeFor(session.accessExpiresAt, session.createdAt)] }
    insert.run(placed)
    return placed
  }
}

/** What a session says of its times when it is used. Access tokens expire on whole seconds, as their `exp` says it, and with their session at the latest. */
function timesOf (createdAt: number, now: number, { idleLifetime, maxAge, accessLifetime }: Lifetimes) {
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

export function sessionsRepository (connection: Connection, write: NotedWrite) {
  const end = sessionEndings(connection)
  const placeFor = statusPlaces(connection)
  const insert = sessionInsert(connection)
  const id = sql.placeholder('id')
  const now = sql.placeholder('now')
  const stillSignedIn = connection.select({ id: users.id }).from(users).where(and(
    eq(users.id, sql.placeholder('userId')),
    eq(users.disabled, false),
    eq(users.passwordChangedAt, sql.placeholder('passwordChangedAt')),
    sql`json(${users.roles}) = ${sql.placeholder('roles')}`
  )).prepare()
  const byId = connection.select().from(sessions).where(eq(sessions.id, id)).prepare()
  const roles = sql`(select users.roles from users where users.id = sessions.user_id)`.mapWith(users.roles) // SQLite would plan a join anew at each call
  const withRoles = connection.select({ ...getTableColumns(sessions), roles }).from(sessions).where(eq(sessions.id, id)).prepare()
  const surplus = connection.$client.prepare<[userId: string], string>(`select id from sessions where user_id = ? order by last_used_at desc, rowid desc limit 1 offset ${MOST_SESSIONS}`).pluck() // bound, they would have SQLite plan it anew at each call
  const ofUser = connection.select().from(sessions)
    .where(and(eq(sessions.userId, sql.placeholder('userId')), gt(sessions.expiresAt, now))).orderBy(desc(sessions.lastUsedAt)).prepare()
  const advance = connection.update(sessions).set({
    generation: sql`${sql.placeholder('generation')}`,
    lastUsedAt: sql`${sql.placeholder('lastUsedAt')}`,
    expiresAt: sql`${sql.placeholder('expiresAt')}`,
    accessExpiresAt: sql`${sql.placeholder('accessExpiresAt')}`,
    statusEntries: sql`${sql.placeholder('entries')}`
  }).where(eq(sessions.id, id)).prepare()
  const nextSlice = connection.$client.prepare<{ after: number, now: number }, { last: number | null, isDue: number }>(`select max(rowid) as last, max(expires_at <= @now and access_expires_at <= @now) as isDue
    from (select rowid, expires_at, access_expires_at from sessions where rowid > @after order by rowid limit ${SLICE})`)
  const deleteExpired = connection.delete(sessions).where(and(
    sql`rowid > ${sql.placeholder('after')} and rowid <= ${sql.placeholder('last')}`,
    lte(sessions.expiresAt, now),
    lte(sessions.accessExpiresAt, now)
  )).prepare()

  return {
    /** The times of a session that begins `now`. */
    timesAt: (now: number, lifetimes: Lifetimes) => timesOf(now, now, lifetimes),

    /**
     * Starts a session for a user whose password was just right. An account has 1000 at the most: the one that was not used for longest ends.
     * Gives undefined, and starts none, when the account was disabled or deleted or its password or roles changed meanwhile.
     */
    add: async (session: NewSession, { passwordChangedAt, roles }: User, note?: Note<SessionStart | undefined>) => (await write(() => {
      const { userId } = session
      if (!stillSignedIn.get({ userId, passwordChangedAt, roles: JSON.stringify(roles) })) return undefined

      const begun = insert(session)
      const ended = surplus.get(userId)
      if (ended) end.one(ended)
      return { begun, ended }
    }, note))?.begun,

    /**
     * Trades generation `generation` of a session for the next one. It reads and writes inside one deed, so nothing
     * comes between. A token that lost a race (one generation behind, inside the grace) repeats the winner's answer;
     * any other old one ends the session. Each rotation costs what the session's live tokens cost, so there are no
     * more of them than `mostLiveTokens`.
     */
    rotate: (id: string, generation: number, rotation: Rotation, note?: Note<RotationOutcome>) => write((): RotationOutcome => {
      const found = withRoles.get({ id })
      if (!found) return { outcome: 'unknown' }
      const { roles, ...session } = found
      if (session.expiresAt <= rotation.now) return { outcome: 'expired' }

      if (session.generation === generation) {
        const live = session.statusEntries.filter(({ until }) => until > rotation.now)
        if (live.length >= rotation.mostLiveTokens) return { outcome: 'crowded', until: Math.min(...live.map(({ until }) => until)) }

        const next = advanced(session, rotation)
        next.statusEntries = [...live, placeFor(next.accessExpiresAt, rotation.now)]
        advance.run({ ...next, entries: JSON.stringify(next.statusEntries) })
        return { outcome: 'rotated', session: next, roles }
      }
      if (session.generation === generation + 1 && rotation.now - session.lastUsedAt < rotation.grace) return { outcome: 'repeated', session, roles }

      end.one(id)
      return { outcome: 'reused', session }
    }, note),

    /** By id. */
    async findById (id: string): Promise<Session | undefined> {
      return byId.get({ id })
    },

    /** The live sessions of a user, the last used first. */
    async list (userId: string, now: number): Promise<Session[]> {
      return ofUser.all({ userId, now })
    },

    /** How many there are, with those that have expired since they were last pruned. It takes 15 ms for a million. */
    async count (): Promise<number> {
      return connection.$count(sessions)
    },

    /** Ends a session, if need be only when it is this user's; gives what ended. */
    end: (id: string, userId?: string, note?: Note<EndedSession[]>) => write(() => userId === undefined ? end.one(id) : end.own(id, userId), note),

    /** Ends all sessions of a user; gives them. */
    endAll: (userId: string, note?: Note<EndedSession[]>) => write(() => end.all(userId), note),

    /**
     * Forgets the sessions that have expired with their last access token: till then they can still be ended. Gives back how many.
     * It looks at all sessions, a thousand in each turn of the event loop.
     */
    async prune (now: number): Promise<number> {
      let pruned = 0
      for (let after = 0; ;) {
        const { last, isDue } = nextSlice.get({ after, now })! // there is a row, whatever it says
        if (last === null) return pruned
        const slice = { after, last, now }
        if (isDue) pruned += await write(() => deleteExpired.run(slice).changes)
        else await setImmediate()
        after = last
      }
    }
  }
}
