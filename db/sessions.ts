import { setImmediate } from 'node:timers/promises'
import { and, desc, eq, gt, lte, sql } from './drizzle.ts'
import { sessions, users } from './schema/index.ts'
import { sessionEnder } from './end-sessions.ts'
import { placeholdersOf } from './placeholders.ts'
import { sessionRotation } from './rotation.ts'
import { statusPlaces } from './status-places.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { EndedSession } from './end-sessions.ts'
import type { Connection } from './connection.ts'
import type { Rotation, RotationResult } from './rotation.ts'
import type { NewSession, Session, User } from './schema/index.ts'

/** All that is shown of a session. */
const SUMMARY = {
  id: sessions.id,
  createdAt: sessions.createdAt,
  lastUsedAt: sessions.lastUsedAt,
  expiresAt: sessions.expiresAt,
  ip: sessions.ip,
  userAgent: sessions.userAgent
}

export type SessionSummary = Pick<Session, keyof typeof SUMMARY>

/** A session that has begun, and the id of the one that ended for it because the account had too many. */
export interface SessionStart { begun: Session, ended?: string }

/** More than anybody has devices. Each costs everybody time when it is listed or ended. */
const MOST_SESSIONS = 100

/** Sessions that one turn of the event loop looks at when it looks for expired ones: a fifth of a millisecond. */
const SLICE = 1000

// The limits below stand in the text: SQLite would plan a query with a bound one anew at each call.

const FIND_SURPLUS = `select id from sessions where user_id = ?
  order by last_used_at desc, rowid desc limit 1 offset ${MOST_SESSIONS}`

const FIND_NEXT_SLICE = `select max(rowid) as last, max(expires_at <= @now and access_expires_at <= @now) as isDue
  from (select rowid, expires_at, access_expires_at from sessions where rowid > @after order by rowid limit ${SLICE})`

/** Stores a session inside an operation, with a place in a status list for its first token. */
export function sessionInsert (connection: Connection) {
  const placeFor = statusPlaces(connection)
  const insert = connection.insert(sessions).values(placeholdersOf(sessions)).prepare()
  return (session: NewSession): Session => {
    const placed = { ...session, statusEntries: [placeFor(session.accessExpiresAt, session.createdAt)] }
    insert.run(placed)
    return placed
  }
}

export function sessionsRepository (connection: Connection, write: AuditedWrite) {
  const { $client: client } = connection
  const end = sessionEnder(connection)
  const rotateSession = sessionRotation(connection)
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
  const surplus = client.prepare<[userId: string], string>(FIND_SURPLUS).pluck()
  const ofUser = connection.select(SUMMARY).from(sessions)
    .where(and(eq(sessions.userId, sql.placeholder('userId')), gt(sessions.expiresAt, now)))
    .orderBy(desc(sessions.lastUsedAt)).prepare()
  const nextSlice = client.prepare<{ after: number, now: number }, { last: number | null, isDue: number }>(FIND_NEXT_SLICE)
  const deleteExpired = connection.delete(sessions).where(and(
    sql`rowid > ${sql.placeholder('after')} and rowid <= ${sql.placeholder('last')}`,
    lte(sessions.expiresAt, now),
    lte(sessions.accessExpiresAt, now)
  )).prepare()

  function begin (session: NewSession, passwordChangedAt: number): SessionStart | undefined {
    const { userId, roles } = session
    if (!stillSignedIn.get({ userId, passwordChangedAt, roles: JSON.stringify(roles) })) return undefined

    const begun = insert(session)
    const ended = surplus.get(userId)
    if (ended) end.one(ended)
    return { begun, ended }
  }

  return {
    /**
     * Starts a session for a user whose password was just right. An account has 100 at most: the least recently used one ends.
     * Gives undefined, and starts none, when the account was disabled or deleted, or its password or roles changed meanwhile.
     */
    async add (
      session: NewSession,
      { passwordChangedAt }: Pick<User, 'passwordChangedAt'>,
      entry?: AuditEntry<SessionStart | undefined>
    ): Promise<Session | undefined> {
      const start = await write(() => begin(session, passwordChangedAt), entry)
      return start?.begun
    },

    /** Trades generation `generation` of a session for the next one. */
    rotate: (id: string, generation: number, rotation: Rotation, entry?: AuditEntry<RotationResult>) =>
      write(() => rotateSession(id, generation, rotation), entry),

    /** By id. */
    async findById (id: string): Promise<Session | undefined> {
      return byId.get({ id })
    },

    /** The live sessions of a user, the last used first. */
    async list (userId: string, now: number): Promise<SessionSummary[]> {
      return ofUser.all({ userId, now })
    },

    /** The number of sessions, with those that have expired since they were last pruned. It takes 15 ms for a million. */
    async count (): Promise<number> {
      return connection.$count(sessions)
    },

    /** Ends a session, or with `userId` only a session of this user. Gives the sessions that ended. */
    end: (id: string, userId?: string, entry?: AuditEntry<EndedSession[]>) =>
      write(() => userId === undefined ? end.one(id) : end.own(id, userId), entry),

    /** Ends all sessions of a user, and gives them. */
    endAll: (userId: string, entry?: AuditEntry<EndedSession[]>) => write(() => end.all(userId), entry),

    /**
     * Forgets the sessions that have expired with their last access token: until then they can still be ended. Gives their
     * number. It looks at all sessions, a thousand in each turn of the event loop.
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
