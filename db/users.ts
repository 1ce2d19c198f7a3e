import { and, eq, ne, sql } from './drizzle.ts'
import { nameConflict, withCode } from './constraint-names.ts'
import { sessionEnder } from './end-sessions.ts'
import { freedNameKeeper } from './freed-names.ts'
import { sessions, users } from './schema/index.ts'
import { sessionInsert } from './sessions.ts'
import { userReads } from './user-reads.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'
import type { NameHold } from './freed-names.ts'
import type { NewSession, Session, User } from './schema/index.ts'

/** Names in the form in which they are stored and compared. */
type Names = Partial<Pick<User, 'username' | 'usernameKey' | 'email' | 'name'>>

export type NewUser = Names & Pick<User, 'id' | 'passwordHash' | 'roles' | 'createdAt'>

/** A change of an account without its password. */
export type UserChange = Names & Partial<Pick<User, 'roles' | 'disabled'>>

/** An account after a change; `endsSessions` tells that the change ended its sessions. */
export interface UserUpdate { after: User, endsSessions: boolean }

/** Every function that throws does so with a stable `code`: `username_taken`, `email_taken` or `last_admin`. */
export function usersRepository (connection: Connection, write: AuditedWrite) {
  const endSessions = sessionEnder(connection)
  const insertSession = sessionInsert(connection)
  const freed = freedNameKeeper(connection)
  const id = sql.placeholder('id')
  const byId = connection.select().from(users).where(eq(users.id, id)).prepare()
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

  function replacePassword (id: string, passwordHash: string, now: number): boolean {
    const { changes } = connection.update(users).set({ passwordHash, passwordChangedAt: now }).where(eq(users.id, id)).run()
    if (changes === 1) endSessions.all(id)
    return changes === 1
  }

  return {
    ...userReads(connection),

    /** Makes an account. */
    add: (user: NewUser, entry?: AuditEntry<User>) => write(() => insert(user), entry),

    /** Makes an account with names that are kept for nobody else, together with its first session: both or neither. */
    addSignedIn: (user: NewUser, session: NewSession, hold: NameHold, entry?: AuditEntry<{ user: User, session: Session }>) =>
      write(() => {
        freed.assertFree(user.id, user, hold)
        return { user: insert(user), session: insertSession(session) }
      }, entry),

    /** Changes an account; when its roles or `disabled` change, its sessions end. Gives undefined for an unknown id. */
    update: async (id: string, change: UserChange, hold: NameHold, entry?: AuditEntry<UserUpdate | undefined>) => (await write(() => {
      const before = byId.get({ id })
      if (!before) return undefined

      const { roles = before.roles, disabled = before.disabled } = change
      if (disabled || !roles.includes('admin')) assertAdminRemains(before)
      const after = setValues(id, { ...change, roles, disabled })
      freed.keep(id, before, after, hold)
      const endsSessions = disabled !== before.disabled || String(roles) !== String(before.roles)
      if (endsSessions) endSessions.all(id)
      return { after, endsSessions }
    }, entry))?.after,

    /** Changes the names of an account to some that are kept for nobody else. Throws `not_found` for an unknown id. */
    rename: (id: string, names: Names, hold: NameHold, entry?: AuditEntry<User>) => write(() => {
      const before = byId.get({ id })
      if (!before) throw withCode('not_found')

      freed.assertFree(id, names, hold)
      const after = setValues(id, names)
      freed.keep(id, before, after, hold)
      return after
    }, entry),

    /** Sets a new password, and ends every session. Gives false when the account is gone. */
    setPassword: (id: string, passwordHash: string, now: number, entry?: AuditEntry<boolean>) =>
      write(() => replacePassword(id, passwordHash, now), entry),

    /** The same, and starts a session. Throws `not_found` when the account is gone. */
    changePassword: (session: NewSession, passwordHash: string, entry?: AuditEntry<Session>) => write(() => {
      if (!replacePassword(session.userId, passwordHash, session.createdAt)) throw withCode('not_found')
      return insertSession(session)
    }, entry),

    /** Keeps the same password under newer hash parameters, unless it has changed meanwhile. */
    rehash: (user: User, passwordHash: string) => write(() => {
      connection.update(users).set({ passwordHash }).where(and(eq(users.id, user.id), eq(users.passwordHash, user.passwordHash))).run()
    }),

    /** Deletes an account and ends its sessions. Gives false for an unknown id. */
    remove: (id: string, hold: NameHold, entry?: AuditEntry<boolean>) => write(() => {
      const user = byId.get({ id })
      if (!user) return false
      assertAdminRemains(user)
      endSessions.all(id)
      freed.keep(id, user, {}, hold)
      connection.delete(users).where(eq(users.id, id)).run()
      return true
    }, entry),

    /** Deletes every account, the last administrator too, and gives their number. Their names are free at once. */
    removeAll: (entry?: AuditEntry<number>) => write(() => {
      for (const { userId } of connection.selectDistinct({ userId: sessions.userId }).from(sessions).all()) endSessions.all(userId)
      freed.clear()
      return connection.delete(users).run().changes
    }, entry),

    /** Forgets which names were given up, once they are free again. Gives their number. */
    pruneFreedNames: (now: number) => write(() => freed.prune(now))
  }
}
