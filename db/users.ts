import { and, asc, eq, gt, ne, or, sql } from './drizzle.ts'
import { sessionEndings } from './ending.ts'
import { emailKey, loginKey, usernameKey } from './names.ts'
import { sessions, users } from './schema.ts'
import { sessionInsert } from './sessions.ts'
import type { Note, NotedWrite } from './audit-chain.ts'
import type { Connection } from './index.ts'
import type { NewSession, Session } from './sessions.ts'

export type User = typeof users.$inferSelect

export interface Names {
  username?: string
  email?: string
  name?: string | null
}

export type NewUser = Names & Pick<User, 'id' | 'passwordHash' | 'roles' | 'createdAt'>

/** What may change of an account without its password. */
export type UserChange = Names & Partial<Pick<User, 'roles' | 'disabled'>>

/** What a change made of an account, and whether it ended the account's sessions. */
export interface UserUpdate { after: User, endsSessions: boolean }

export interface Page {
  limit: number
  /** Goes on after this user. */
  after?: Pick<User, 'createdAt' | 'id'>
  /** The beginning of a username or an e-mail address. */
  prefix?: string
}

const UNIQUE_INDEXES: Record<string, string> = {
  'users.username_key': 'username_taken',
  'users.email': 'email_taken'
}

/** All that throw do so with a stable `code`: `username_taken`, `email_taken` or `last_admin`. */
export function usersRepository (connection: Connection, write: NotedWrite) {
  const endSessions = sessionEndings(connection)
  const insertSession = sessionInsert(connection)
  const id = sql.placeholder('id')
  const byId = connection.select().from(users).where(eq(users.id, id)).prepare()
  const byUsername = connection.select().from(users).where(eq(users.usernameKey, sql.placeholder('key'))).prepare()
  const byEmail = connection.select().from(users).where(eq(users.email, sql.placeholder('key'))).prepare()
  // The first row is taken of these. A limit would be a bound one, and have SQLite plan them anew at each call.
  const nextTo = connection.select({ passwordHash: users.passwordHash }).from(users).where(gt(users.id, id)).orderBy(asc(users.id)).prepare()
  const otherActiveAdmin = connection.select({ id: users.id }).from(users)
    .where(and(sql`instr(roles, '"admin"') and not disabled`, ne(users.id, id))).prepare()

  function insert (user: NewUser): User {
    const row = { ...user, ...keyed(user), passwordChangedAt: user.createdAt, disabled: false }
    return unlessTaken(() => connection.insert(users).values(row).returning().get())
  }

  function assertAdminRemains (user: User) {
    const isActiveAdmin = user.roles.includes('admin') && !user.disabled
    if (isActiveAdmin && !otherActiveAdmin.get({ id: user.id })) throw coded('last_admin')
  }

  return {
    /** By id. */
    async findById (id: string): Promise<User | undefined> {
      return byId.get({ id })
    },

    /** By what a person signs in with: a username, or an e-mail address (no username has an @). */
    async find (login: string): Promise<User | undefined> {
      return (login.includes('@') ? byEmail : byUsername).get({ key: loginKey(login) })
    },

    /**
     * The password hash of the account whose id comes next after `id`: of a random one, when `id` is random.
     * Gives undefined when there are no accounts.
     */
    async hashNextTo (id: string): Promise<string | undefined> {
      return (nextTo.get({ id }) ?? nextTo.get({ id: '' }))?.passwordHash
    },

    /** The form in which what a person signs in with is compared, whether or not there is such an account. */
    keyOf: loginKey,

    /** Makes an account. */
    add: (user: NewUser, note?: Note<User>) => write(() => insert(user), note),

    /** Makes an account together with its first session: both or neither. */
    addSignedIn: (user: NewUser, session: NewSession, note?: Note<{ user: User, session: Session }>) =>
      write(() => ({ user: insert(user), session: insertSession(session) }), note),

    /** Changes an account; when its roles or whether it is disabled change, its sessions end. Gives undefined for an unknown id. */
    update: async (id: string, change: UserChange, note?: Note<UserUpdate | undefined>) => (await write(() => {
      const before = byId.get({ id })
      if (!before) return undefined

      const { roles = before.roles, disabled = before.disabled } = change
      if (disabled || !roles.includes('admin')) assertAdminRemains(before)
      const after = unlessTaken(() => connection.update(users).set({ ...keyed(change), roles, disabled }).where(eq(users.id, id)).returning().get())
      const endsSessions = disabled !== before.disabled || String(roles) !== String(before.roles)
      if (endsSessions) endSessions.all(id)
      return { after, endsSessions }
    }, note))?.after,

    /** Sets a new password, if `user` is still as it was read, and ends all sessions but one. Gives whether it did. */
    changePassword: (user: User, passwordHash: string, keptSessionId: string, now: number, note?: Note<boolean>) => write(() => {
      const { changes } = connection.update(users).set({ passwordHash, passwordChangedAt: now })
        .where(and(eq(users.id, user.id), eq(users.passwordHash, user.passwordHash))).run()
      if (changes === 1) endSessions.all(user.id, keptSessionId)
      return changes === 1
    }, note),

    /** Keeps the same password under newer hash parameters, unless it has changed meanwhile. */
    rehash: (user: User, passwordHash: string) => write(() => {
      connection.update(users).set({ passwordHash }).where(and(eq(users.id, user.id), eq(users.passwordHash, user.passwordHash))).run()
    }),

    /** Ends an account's sessions and deletes it, if need be only while it has this password hash; gives whether it did. */
    remove: (id: string, note?: Note<boolean>, passwordHash?: string) => write(() => {
      const user = byId.get({ id })
      if (!user || user.passwordHash !== (passwordHash ?? user.passwordHash)) return false
      assertAdminRemains(user)
      endSessions.all(id)
      connection.delete(users).where(eq(users.id, id)).run()
      return true
    }, note),

    /** Deletes every account, the last administrator too; gives how many there were. */
    removeAll: (note?: Note<number>) => write(() => {
      for (const { userId } of connection.selectDistinct({ userId: sessions.userId }).from(sessions).all()) endSessions.all(userId)
      return connection.delete(users).run().changes
    }, note),

    /** Accounts in the order in which they were made. */
    async list ({ limit, after, prefix }: Page): Promise<User[]> {
      const isAfter = after && sql`(${users.createdAt}, ${users.id}) > (${after.createdAt}, ${after.id})`
      const matches = prefix === undefined ? undefined : or(startsWith(users.usernameKey, usernameKey(prefix)), startsWith(users.email, emailKey(prefix)))
      return connection.select().from(users).where(and(isAfter, matches)).orderBy(asc(users.createdAt), asc(users.id)).limit(limit).all()
    }
  }
}

/** Names as they are stored; what is absent in a change stays absent. */
function keyed ({ username, email, name }: Names) {
  return {
    ...username !== undefined && { username: username.normalize('NFC'), usernameKey: usernameKey(username) },
    ...email !== undefined && { email: emailKey(email) },
    ...name !== undefined && { name: name?.normalize('NFC') ?? null }
  }
}

/** A range instead of LIKE: it uses the index, and no character in it is special. */
function startsWith (column: typeof users.usernameKey | typeof users.email, prefix: string) {
  return and(sql`${column} >= ${prefix}`, sql`${column} < ${`${prefix}\u{10ffff}`}`)
}

/** The constraint decides who came first; this only gives its refusal a name. */
function unlessTaken<T> (statement: () => T): T {
  try {
    return statement()
  } catch (cause) {
    const [, column = ''] = /UNIQUE constraint failed: (\S+)$/.exec(String(cause)) ?? []
    const code = UNIQUE_INDEXES[column]
    throw code ? coded(code, cause) : cause
  }
}

function coded (code: string, cause?: unknown): Error {
  return Object.assign(new Error(code, { cause }), { code })
}
