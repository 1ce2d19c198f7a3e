import { and, asc, eq, gt, ne, or, sql } from './drizzle.ts'
import { nameConflict, withCode } from './constraint-names.ts'
import { sessionEnder } from './end-sessions.ts'
import { sessions, users } from './schema/index.ts'
import { sessionInsert } from './sessions.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'
import type { NewSession, Session, User } from './schema/index.ts'

/** Names in the form in which they are stored and compared. */
type Names = Partial<Pick<User, 'username' | 'usernameKey' | 'email' | 'name'>>

export type NewUser = Names & Pick<User, 'id' | 'passwordHash' | 'roles' | 'createdAt'>

/** A change of an account without its password. */
export type UserChange = Names & Partial<Pick<User, 'roles' | 'disabled'>>

/** An account after a change; `endsSessions` tells that the change ended its sessions. */
export interface UserUpdate { after: User, endsSessions: boolean }

export interface UsersPage {
  limit: number
  /** Continues after this user. */
  after?: Pick<User, 'createdAt' | 'id'>
  /** The beginning of a username or of an e-mail address, as they are compared. */
  prefix?: { usernameKey: string, email: string }
}

/** Every function that throws does so with a stable `code`: `username_taken`, `email_taken` or `last_admin`. */
export function usersRepository (connection: Connection, write: AuditedWrite) {
  const endSessions = sessionEnder(connection)
  const insertSession = sessionInsert(connection)
  const id = sql.placeholder('id')
  const byId = connection.select().from(users).where(eq(users.id, id)).prepare()
  const byUsername = connection.select().from(users).where(eq(users.usernameKey, sql.placeholder('key'))).prepare()
  const byEmail = connection.select().from(users).where(eq(users.email, sql.placeholder('key'))).prepare()
  // The first row is taken of these. A limit would be a bound one, and have SQLite plan them anew at each call.
  const nextTo = connection.select({ passwordHash: users.passwordHash }).from(users)
    .where(gt(users.id, id)).orderBy(asc(users.id)).prepare()
  const otherActiveAdmin = connection.select({ id: users.id }).from(users)
    .where(and(sql`instr(roles, '"admin"') and not disabled`, ne(users.id, id))).prepare()

  function insert (user: NewUser): User {
    const row = { ...user, passwordChangedAt: user.createdAt, disabled: false }
    return nameConflict(() => connection.insert(users).values(row).returning().get())
  }

  function setValues (id: string, values: UserChange): User {
    return nameConflict(() => connection.update(users).set(values).where(eq(users.id, id)).returning().get())
  }

  function assertAdminRemains (user: User) {
    const isActiveAdmin = user.roles.includes('admin') && !user.disabled
    if (isActiveAdmin && !otherActiveAdmin.get({ id: user.id })) throw withCode('last_admin')
  }

  return {
    async findById (id: string): Promise<User | undefined> {
      return byId.get({ id })
    },

    async findByUsername (key: string): Promise<User | undefined> {
      return byUsername.get({ key })
    },

    async findByEmail (key: string): Promise<User | undefined> {
      return byEmail.get({ key })
    },

    /**
     * The password hash of the account whose id comes next after `id`: of a random one, when `id` is random.
     * Gives undefined when there are no accounts.
     */
    async hashNextTo (id: string): Promise<string | undefined> {
      return (nextTo.get({ id }) ?? nextTo.get({ id: '' }))?.passwordHash
    },

    /** Makes an account. */
    add: (user: NewUser, entry?: AuditEntry<User>) => write(() => insert(user), entry),

    /** Makes an account together with its first session: both or neither. */
    addSignedIn: (user: NewUser, session: NewSession, entry?: AuditEntry<{ user: User, session: Session }>) =>
      write(() => ({ user: insert(user), session: insertSession(session) }), entry),

    /** Changes an account; when its roles or `disabled` change, its sessions end. Gives undefined for an unknown id. */
    update: async (id: string, change: UserChange, entry?: AuditEntry<UserUpdate | undefined>) => (await write(() => {
      const before = byId.get({ id })
      if (!before) return undefined

      const { roles = before.roles, disabled = before.disabled } = change
      if (disabled || !roles.includes('admin')) assertAdminRemains(before)
      const after = setValues(id, { ...change, roles, disabled })
      const endsSessions = disabled !== before.disabled || String(roles) !== String(before.roles)
      if (endsSessions) endSessions.all(id)
      return { after, endsSessions }
    }, entry))?.after,

    /** Sets a new password, if `user` is still as it was read, and ends all sessions but one. Gives false when it is not. */
    changePassword: (user: User, passwordHash: string, keptSessionId: string, now: number, entry?: AuditEntry<boolean>) => write(() => {
      const { changes } = connection.update(users).set({ passwordHash, passwordChangedAt: now })
        .where(and(eq(users.id, user.id), eq(users.passwordHash, user.passwordHash))).run()
      if (changes === 1) endSessions.all(user.id, keptSessionId)
      return changes === 1
    }, entry),

    /** Keeps the same password under newer hash parameters, unless it has changed meanwhile. */
    rehash: (user: User, passwordHash: string) => write(() => {
      connection.update(users).set({ passwordHash }).where(and(eq(users.id, user.id), eq(users.passwordHash, user.passwordHash))).run()
    }),

    /** Deletes an account and ends its sessions; with `passwordHash` only while that is its hash. Gives false when nothing was deleted. */
    remove: (id: string, entry?: AuditEntry<boolean>, passwordHash?: string) => write(() => {
      const user = byId.get({ id })
      if (!user || user.passwordHash !== (passwordHash ?? user.passwordHash)) return false
      assertAdminRemains(user)
      endSessions.all(id)
      connection.delete(users).where(eq(users.id, id)).run()
      return true
    }, entry),

    /** Deletes every account, the last administrator too, and gives their number. */
    removeAll: (entry?: AuditEntry<number>) => write(() => {
      for (const { userId } of connection.selectDistinct({ userId: sessions.userId }).from(sessions).all()) endSessions.all(userId)
      return connection.delete(users).run().changes
    }, entry),

    /** Accounts in the order in which they were made. */
    async list ({ limit, after, prefix }: UsersPage): Promise<User[]> {
      const isAfter = after && sql`(${users.createdAt}, ${users.id}) > (${after.createdAt}, ${after.id})`
      const matches = prefix && or(startsWith(users.usernameKey, prefix.usernameKey), startsWith(users.email, prefix.email))
      return connection.select().from(users).where(and(isAfter, matches)).orderBy(asc(users.createdAt), asc(users.id)).limit(limit).all()
    }
  }
}

/** A range instead of LIKE: it uses the index, and no character in it is special. */
function startsWith (column: typeof users.usernameKey | typeof users.email, prefix: string) {
  return and(sql`${column} >= ${prefix}`, sql`${column} < ${`${prefix}\u{10ffff}`}`)
}
