import { eq, sql } from './drizzle.ts'
import { change, query, queryOne } from './engine.ts'
import { withCode } from './refusals.ts'
import type { Operation } from './engine.ts'
import type { User } from './schema/index.ts'
import type { Dialect } from './store.ts'

/** Names in the form in which they are stored and compared. */
export type Names = Partial<Pick<User, 'username' | 'usernameKey' | 'email' | 'name'>>

export type NewUser = Names & Pick<User, 'id' | 'passwordHash' | 'roles' | 'createdAt'>

/**
 * The rows of accounts, inside an operation. Whatever changes an account or its sessions locks its row first: then nothing
 * of the same account comes between reading and writing.
 */
export function userRows ({ build, compile, isActiveAdmin, lockRows, tables: { users } }: Dialect) {
  const id = sql.placeholder('id')
  const lockOne = compile(build.select().from(users).where(eq(users.id, id)), { locks: true })
  const all = compile(build.select({ id: users.id }).from(users).where(sql`true order by ${users.id}`), { locks: true })
  const admins = compile(build.select({ id: users.id }).from(users).where(sql`${isActiveAdmin} order by ${users.id}`), { locks: true })
  const passwordChange = compile(build.update(users)
    .set({ passwordHash: sql`${sql.placeholder('passwordHash')}`, passwordChangedAt: sql`${sql.placeholder('now')}` })
    .where(eq(users.id, id)))
  const deleteOne = compile(build.delete(users).where(eq(users.id, id)))

  /** The account, locked; undefined when there is none. */
  const lock = (id: string) => queryOne(lockOne, { id })

  return {
    lock,

    /** The same, with every active administrator in the order of ids: two that disable each other come one after the other. */
    * lockWithAdmins (id: string): Operation<User | undefined> {
      yield * lockRows(admins)
      return yield * lock(id)
    },

    /** Locks every account: nobody signs in meanwhile. */
    lockAll: () => lockRows(all),

    /** @throws `last_admin` when this is the only active administrator; `lockWithAdmins` came before */
    * assertAdminRemains ({ id, roles, disabled }: User): Operation<void> {
      if (!roles.includes('admin') || disabled) return
      const others = (yield * query(admins, {})).filter((admin) => admin.id !== id)
      if (others.length === 0) throw withCode('last_admin')
    },

    * insert (user: NewUser): Operation<User> {
      const row = { ...user, passwordChangedAt: user.createdAt, disabled: false }
      return (yield * queryOne(compile(build.insert(users).values(row).returning()), {}))! // or it throws
    },

    /** Changes some columns of an account that is there. */
    * set (id: string, values: Partial<User>): Operation<User> {
      return (yield * queryOne(compile(build.update(users).set(values).where(eq(users.id, id)).returning()), {}))! // the same
    },

    /** Gives false when the account is gone. */
    * setPassword (id: string, passwordHash: string, now: number): Operation<boolean> {
      return (yield * change(passwordChange, { id, passwordHash, now })) === 1
    },

    remove: (id: string) => change(deleteOne, { id })
  }
}
