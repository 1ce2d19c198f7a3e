import { and, desc, eq, gt, sql } from './drizzle.ts'
import { query, queryOne } from './engine.ts'
import { sessionEnder } from './end-sessions.ts'
import { sessionInsert } from './session-insert.ts'
import { sessionRotation } from './rotation.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { EndedSession } from './end-sessions.ts'
import type { Operation } from './engine.ts'
import type { Rotation, RotationResult } from './rotation.ts'
import type { NewSession, Session, User } from './schema/index.ts'
import type { PlaceFor } from './status-places.ts'
import type { Store } from './store.ts'

/** All that is shown of a session. */
export type SessionSummary = Pick<Session, 'id' | 'createdAt' | 'lastUsedAt' | 'expiresAt' | 'ip' | 'userAgent'>

/** A session that has begun, and the id of the one that ended for it because the account had too many. */
export interface SessionStart { begun: Session, ended?: string }

/** More than anybody has devices. Each costs everybody time when it is listed or ended. */
const MOST_SESSIONS = 100

/** The limit stands in the text: SQLite would plan a query with a bound one anew at each call. */
const FIND_SURPLUS = `select id from sessions where user_id = ? and id <> ?
  order by last_used_at desc, created_at desc, id limit 1 offset ${MOST_SESSIONS - 1}`

export function sessionsRepository (store: Store, write: AuditedWrite, placeFor: PlaceFor) {
  const { build, compile, read, tables: { sessions, users }, text } = store
  const end = sessionEnder(store)
  const rotateSession = sessionRotation(store, placeFor)
  const insert = sessionInsert(store, placeFor)
  const id = sql.placeholder('id')
  const stillSignedIn = compile(build.select({ id: users.id }).from(users).where(and(
    eq(users.id, sql.placeholder('userId')),
    eq(users.disabled, false),
    eq(users.passwordChangedAt, sql.placeholder('passwordChangedAt')),
    eq(users.roles, sql.placeholder('roles'))
  )), { locks: true })
  const account = compile(build.select({ id: users.id }).from(users).where(eq(users.id, sql.placeholder('userId'))), { locks: true })
  const byId = compile(build.select().from(sessions).where(eq(sessions.id, id)))
  const surplus = text<[userId: string, except: string], [id: string]>(FIND_SURPLUS)
  const { createdAt, lastUsedAt, expiresAt, ip, userAgent } = sessions
  const ofUser = compile(build.select({ id: sessions.id, createdAt, lastUsedAt, expiresAt, ip, userAgent }).from(sessions)
    .where(and(eq(sessions.userId, sql.placeholder('userId')), gt(sessions.expiresAt, sql.placeholder('now'))))
    .orderBy(desc(sessions.lastUsedAt)))
  const countAll = text<[], [count: number]>('select count(*) from sessions')

  function * begin (session: NewSession, passwordChangedAt: number): Operation<SessionStart | undefined> {
    const { userId, roles } = session
    const isSignedIn = yield * queryOne(stillSignedIn, { userId, passwordChangedAt, roles: JSON.stringify(roles) })
    if (!isSignedIn) return undefined

    const begun = yield * insert(session)
    const [ended] = (yield * queryOne(surplus, [userId, session.id])) ?? []
    if (ended) yield * end.one(ended)
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
      const [session] = await read(byId, { id })
      return session
    },

    /** The live sessions of a user, the last used first. */
    list: (userId: string, now: number): Promise<SessionSummary[]> => read(ofUser, { userId, now }),

    /** The number of sessions, with those that have expired since they were last pruned. It takes 15 ms for a million. */
    async count (): Promise<number> {
      const [[count] = [0]] = await read(countAll, [])
      return count
    },

    /** Ends a session, or with `userId` only a session of this user. Gives the sessions that ended. */
    end: (id: string, userId?: string, entry?: AuditEntry<EndedSession[]>) =>
      write(() => userId === undefined ? end.one(id) : end.own(id, userId), entry),

    /** Ends all sessions of a user, and gives them. */
    endAll: (userId: string, entry?: AuditEntry<EndedSession[]>) => write(function * () {
      yield * query(account, { userId }) // a sign-in comes before or after this, and not in between
      return yield * end.all(userId)
    }, entry),

    /**
     * Forgets the sessions that have expired with their last access token: until then they can still be ended. Gives their
     * number.
     */
    prune: (now: number): Promise<number> => store.pruneSessions(now)
  }
}
