import { and, asc, eq, gt, or, sql } from './drizzle.ts'
import type { User } from './schema/index.ts'
import type { Store } from './store.ts'
import type { Column } from 'drizzle-orm'

export interface UsersPage {
  limit: number
  /** Continues after this user. */
  after?: Pick<User, 'createdAt' | 'id'>
  /** The beginning of a username or of an e-mail address, as they are compared. */
  prefix?: { usernameKey: string, email: string }
}

/** The queries for accounts: the part of the repository that writes nothing. */
export function userReads ({ build, compile, read, tables: { users } }: Store) {
  const [id, key] = [sql.placeholder('id'), sql.placeholder('key')]
  const byId = compile(build.select().from(users).where(eq(users.id, id)))
  const byUsername = compile(build.select().from(users).where(eq(users.usernameKey, key)))
  const byEmail = compile(build.select().from(users).where(eq(users.email, key)))
  // The limit stands in the text: SQLite would plan a query with a bound one anew at each call.
  const nextTo = compile(build.select({ passwordHash: users.passwordHash }).from(users)
    .where(sql`${gt(users.id, id)} order by ${asc(users.id)} limit 1`))

  return {
    async findById (id: string): Promise<User | undefined> {
      const [user] = await read(byId, { id })
      return user
    },

    async findByUsername (key: string): Promise<User | undefined> {
      const [user] = await read(byUsername, { key })
      return user
    },

    async findByEmail (key: string): Promise<User | undefined> {
      const [user] = await read(byEmail, { key })
      return user
    },

    /**
     * The password hash of the account whose id comes next after `id`: of a random one, when `id` is random.
     * Gives undefined when there are no accounts.
     */
    async hashNextTo (id: string): Promise<string | undefined> {
      const [next] = await read(nextTo, { id })
      const [first] = next ? [] : await read(nextTo, { id: '' })
      return (next ?? first)?.passwordHash
    },

    /** Accounts in the order in which they were made. */
    async list ({ limit, after, prefix }: UsersPage): Promise<User[]> {
      const isAfter = after && sql`(${users.createdAt}, ${users.id}) > (${after.createdAt}, ${after.id})`
      const matches = prefix && or(startsWith(users.usernameKey, prefix.usernameKey), startsWith(users.email, prefix.email))
      const page = build.select().from(users).where(and(isAfter, matches)).orderBy(asc(users.createdAt), asc(users.id)).limit(limit)
      return read(compile(page), {})
    }
  }
}

/** A range instead of LIKE: it uses the index, and no character in it is special. */
function startsWith (column: Column, prefix: string) {
  return and(sql`${column} >= ${prefix}`, sql`${column} < ${`${prefix}\u{10ffff}`}`)
}
