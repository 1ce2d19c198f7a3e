import { and, asc, eq, sql } from './drizzle.ts'
import { change, execute, query } from './engine.ts'
import { sessionEnder } from './end-sessions.ts'
import { freedNameKeeper } from './freed-names.ts'
import { toNameConflict, withCode } from './refusals.ts'
import { sessionInsert } from './session-insert.ts'
import { userReads } from './user-reads.ts'
import { userRows } from './user-rows.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { Operation } from './engine.ts'
import type { NameHold } from './freed-names.ts'
import type { NewSession, Session, User } from './schema/index.ts'
import type { PlaceFor } from './status-places.ts'
import type { Store } from './store.ts'
import type { Names, NewUser } from './user-rows.ts'

/** A change of an account without its password. */
export type UserChange = Names & Partial<Pick<User, 'roles' | 'disabled'>>

/** An account after a change; `endsSessions` tells that the change ended its sessions. */
export interface UserUpdate { after: User, endsSessions: boolean }

/** Every function that throws does so with a stable `code`: `username_taken`, `email_taken` or `last_admin`. */
export function usersRepository (store: Store, auditedWrite: AuditedWrite, placeFor: PlaceFor) {
  const { build, compile, tables: { sessions, users } } = store
  const endSessions = sessionEnder(store)
  const insertSession = sessionInsert(store, placeFor)
  const freed = freedNameKeeper(store)
  const rows = userRows(store)
  const owners = compile(build.selectDistinct({ userId: sessions.userId }).from(sessions).orderBy(asc(sessions.userId)))
  const rehashOne = compile(build.update(users).set({ passwordHash: sql`${sql.placeholder('newer')}` })
    .where(and(eq(users.id, sql.placeholder('id')), eq(users.passwordHash, sql.placeholder('passwordHash')))))
  const deleteAll = compile(build.delete(users))

  function write<T> (operation: () => Operation<T>, entry?: AuditEntry<T>): Promise<T> {
    return auditedWrite(operation, entry).catch(toNameConflict)
  }

  function * replacePassword (id: string, passwordHash: string, now: number): Operation<boolean> {
    const isThere = yield * rows.setPassword(id, passwordHash, now)
    if (isThere) yield * endSessions.all(id)
    return isThere
  }

  return {
    ...userReads(store),

    /** Makes an account. */
    add: (user: NewUser, entry?: AuditEntry<User>) => write(() => rows.insert(user), entry),

    /** Makes an account with names that are kept for nobody else, together with its first session: both or neither. */
    addSignedIn: (user: NewUser, session: NewSession, hold: NameHold, entry?: AuditEntry<{ user: User, session: Session }>) =>
      write(function * () {
        const made = yield * rows.insert(user)
        yield * freed.assertFree(user.id, user, hold) // after the insert, which waits for whoever gives the name up at this moment
        return { user: made, session: yield * insertSession(session) }
      }, entry),

    /** Changes an account; when its roles or `disabled` change, its sessions end. Gives undefined for an unknown id. */
    update: (id: string, change: UserChange, hold: NameHold, entry?: AuditEntry<UserUpdate | undefined>) => write(function * () {
      const mayTakeAdmin = change.disabled || (change.roles && !change.roles.includes('admin'))
      const before = yield * (mayTakeAdmin ? rows.lockWithAdmins(id) : rows.lock(id))
      if (!before) return undefined

      const { roles = before.roles, disabled = before.disabled } = change
      if (disabled || !roles.includes('admin')) yield * rows.assertAdminRemains(before)
      const after = yield * rows.set(id, { ...change, roles, disabled })
      yield * freed.keep(id, before, after, hold)
      const endsSessions = disabled !== before.disabled || String(roles) !== String(before.roles)
      if (endsSessions) yield * endSessions.all(id)
      return { after, endsSessions }
    }, entry).then((update) => update?.after),

    /** Changes the names of an account to some that are kept for nobody else. Throws `not_found` for an unknown id. */
    rename: (id: string, names: Names, hold: NameHold, entry?: AuditEntry<User>) => write(function * () {
      const before = yield * rows.lock(id)
      if (!before) throw withCode('not_found')

      const after = yield * rows.set(id, names)
      yield * freed.assertFree(id, names, hold)
      yield * freed.keep(id, before, after, hold)
      return after
    }, entry),

    /** Sets a new password, and ends every session. Gives false when the account is gone. */
    setPassword: (id: string, passwordHash: string, now: number, entry?: AuditEntry<boolean>) =>
      write(() => replacePassword(id, passwordHash, now), entry),

    /** The same, and starts a session. Throws `not_found` when the account is gone. */
    changePassword: (session: NewSession, passwordHash: string, entry?: AuditEntry<Session>) => write(function * () {
      if (!(yield * replacePassword(session.userId, passwordHash, session.createdAt))) throw withCode('not_found')
      return yield * insertSession(session)
    }, entry),

    /** Keeps the same password under newer hash parameters, unless it has changed meanwhile. */
    rehash: ({ id, passwordHash }: User, newer: string) => write(() => execute(rehashOne, { id, passwordHash, newer })),

    /** Deletes an account and ends its sessions. Gives false for an unknown id. */
    remove: (id: string, hold: NameHold, entry?: AuditEntry<boolean>) => write(function * () {
      const user = yield * rows.lockWithAdmins(id)
      if (!user) return false
      yield * rows.assertAdminRemains(user)
      yield * endSessions.all(id)
      yield * freed.keep(id, user, {}, hold)
      yield * rows.remove(id)
      return true
    }, entry),

    /** Deletes every account, the last administrator too, and gives their number. Their names are free at once. */
    removeAll: (entry?: AuditEntry<number>) => write(function * () {
      yield * rows.lockAll()
      for (const { userId } of yield * query(owners, {})) yield * endSessions.all(userId)
      yield * freed.clear()
      return yield * change(deleteAll, {})
    }, entry),

    /** Forgets which names were given up, once they are free again. Gives their number. */
    pruneFreedNames: (now: number) => write(() => freed.prune(now))
  }
}
