import { eq, lte, or, sql } from './drizzle.ts'
import { change, execute, query } from './engine.ts'
import { withCode } from './refusals.ts'
import type { Operation } from './engine.ts'
import type { User } from './schema/index.ts'
import type { Dialect } from './store.ts'

/** For how long a name that an account gives up is kept from others. Times in milliseconds since 1970. */
export interface NameHold {
  now: number
  until: number
  /** The keyed hash under which a name is kept: names of deleted accounts stand nowhere. */
  keyOf: (name: string) => string
}

type Names = Partial<Pick<User, 'usernameKey' | 'email'>>

/** Keeps freed names, inside an operation. */
export function freedNameKeeper ({ build, compile, tables: { freedNames } }: Dialect) {
  const [userId, until, now] = [sql.placeholder('userId'), sql.placeholder('until'), sql.placeholder('now')]
  const [key, other] = [sql.placeholder('key'), sql.placeholder('other')]
  const insert = compile(build.insert(freedNames).values({ key, userId, until })
    .onConflictDoUpdate({ target: freedNames.key, set: { userId: sql`excluded.user_id`, until: sql`excluded.until` } }))
  const kept = compile(build.select().from(freedNames).where(or(eq(freedNames.key, key), eq(freedNames.key, other))))
  const deleteFree = compile(build.delete(freedNames).where(lte(freedNames.until, now)))
  const deleteAll = compile(build.delete(freedNames))

  function keysOf ({ usernameKey, email }: Names, keyOf: NameHold['keyOf']): string[] {
    return [usernameKey, email].filter((name) => typeof name === 'string').map(keyOf)
  }

  return {
    /** Keeps the names that an account had and has no more. */
    * keep (userId: string, before: Names, after: Names, { until, keyOf }: NameHold): Operation<void> {
      const remaining = keysOf(after, keyOf)
      for (const key of keysOf(before, keyOf).filter((key) => !remaining.includes(key))) yield * execute(insert, { key, userId, until })
    },

    /** Throws `username_taken` or `email_taken` when one of these names is kept for another account. */
    * assertFree (userId: string, names: Names, { now, keyOf }: NameHold): Operation<void> {
      const [key = '', other = ''] = keysOf(names, keyOf)
      const keys = (yield * query(kept, { key, other })).filter((row) => row.userId !== userId && row.until > now).map(({ key }) => key)
      if (keys.length === 0) return
      throw withCode(typeof names.usernameKey === 'string' && keys.includes(keyOf(names.usernameKey)) ? 'username_taken' : 'email_taken')
    },

    /** Forgets the names that are free again, and gives their number. */
    prune: (now: number) => change(deleteFree, { now }),

    /** Frees every name. */
    clear: () => execute(deleteAll, {})
  }
}
