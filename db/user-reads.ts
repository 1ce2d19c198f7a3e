import { and, asc, eq, gt, or, sql } from './drizzle.ts'
import { users } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { User } from './schema/index.ts'

export interface UsersPage {
  limit: number
  /** Continues after this user. */
  after?: Pick<User, 'createdAt' | 'id'>
  /** The beginning of a username or of an e-mail address, as they are compared. */
  prefix?: { usernameKey: string, email: string }
}

/** The queries for accounts: the part of the repository that writes nothing. */
export function userReads (connection: Connection) {
  const id = sql.placeholder('id')
  const byId = connection.select().from(users).where(eq(users.id, id)).prepare()
  const byUsername = connection.select().from(users).where(eq(users.usernameKey, sql.placeholder('key'))).prepare()
  const byEmail = connection.select().from(users).where(eq(users.email, sql.placeholder('key'))).prepare()
  // The first row is taken of these. A limit would be a bound one, and have SQLite plan them anew at each call.
  const nextTo = connection.select({ passwordHash: users.passwordHash }).from(users)
    .where(gt(users.id, id)).orderBy(asc(users.id)).prepare()

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
