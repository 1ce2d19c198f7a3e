import { setImmediate } from 'node:timers/promises'
import { and, desc, eq, getTableColumns, gt, lte, sql } from './drizzle.ts'
import { sessions, users } from './schema.ts'
import { sessionEndings } from './ending.ts'
import { rotations, timesOf } from './rotation.ts'
import { statusPlaces } from './status-lists.ts'
import type { Note, NotedWrite } from './audit-chain.ts'
import type { EndedSession } from './ending.ts'
import type { Connection } from './index.ts'
import type { Lifetimes, Rotation, RotationOutcome } from './rotation.ts'
import type { User } from './users.ts'

export type Session = typeof sessions.$inferSelect

/** A session that has just begun: its first token has no place in a status list yet. */
export type NewSession = Omit<Session, 'statusEntries'>

/** What the beginning of a session made of it, and the id of the one that ended for it because there were too many. */
export interface SessionStart { begun: Session, ended?: string }

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

export function sessionsRepository (connection: Connection, write: NotedWrite) {
  const end = sessionEndings(connection)
  const rotated = rotations(connection)
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
  const surplus = connection.$client.prepare<[userId: string], string>(`select id from sessions where user_id = ? order by last_used_at desc, rowid desc limit 1 offset ${MOST_SESSIONS}`).pluck() // bound, they would have SQLite plan it anew at each call
  const ofUser = connection.select().from(sessions)
    .where(and(eq(sessions.userId, sql.placeholder('userId')), gt(sessions.expiresAt, now))).orderBy(desc(sessions.lastUsedAt)).prepare()
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
    add: async (session: NewSession, { passwordChangedAt }: Pick<User, 'passwordChangedAt'>, note?: Note<SessionStart | undefined>) => (await write(() => {
      const { userId, roles } = session
      if (!stillSignedIn.get({ userId, passwordChangedAt, roles: JSON.stringify(roles) })) return undefined

      const begun = insert(session)
      const ended = surplus.get(userId)
      if (ended) end.one(ended)
      return { begun, ended }
    }, note))?.begun,

    /** Trades generation `generation` of a session for the next one. */
    rotate: (id: string, generation: number, rotation: Rotation, note?: Note<RotationOutcome>) => write(() => rotated(id, generation, rotation), note),

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
