import { inArray, lte } from './drizzle.ts'
import { withCode } from './constraint-names.ts'
import { freedNames } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { User } from './schema/index.ts'

/** For how long a name that an account gives up is kept from others. Times in milliseconds since 1970. */
export interface NameHold {
  now: number
  until: number
  /** The keyed hash under which a name is kept: names of deleted accounts stand nowhere. */
  keyOf: (name: string) => string
}

type Names = Partial<Pick<User, 'usernameKey' | 'email'>>

/** Keeps freed names, inside an operation. */
export function freedNameKeeper (connection: Connection) {
  function keysOf ({ usernameKey, email }: Names, keyOf: NameHold['keyOf']): string[] {
    return [usernameKey, email].filter((name) => typeof name === 'string').map(keyOf)
  }

  return {
    /** Keeps the names that an account had and has no more. */
    keep (userId: string, before: Names, after: Names, { until, keyOf }: NameHold) {
      const remaining = keysOf(after, keyOf)
      for (const key of keysOf(before, keyOf).filter((key) => !remaining.includes(key))) {
        connection.insert(freedNames).values({ key, userId, until })
          .onConflictDoUpdate({ target: freedNames.key, set: { userId, until } }).run()
      }
    },

    /** Throws `username_taken` or `email_taken` when one of these names is kept for another account. */
    assertFree (userId: string, names: Names, { now, keyOf }: NameHold) {
      const kept = connection.select().from(freedNames).where(inArray(freedNames.key, keysOf(names, keyOf))).all()
        .filter((row) => row.userId !== userId && row.until > now).map(({ key }) => key)
      if (kept.length === 0) return
      throw withCode(typeof names.usernameKey === 'string' && kept.includes(keyOf(names.usernameKey)) ? 'username_taken' : 'email_taken')
    },

    /** Forgets the names that are free again, and gives their number. */
    prune: (now: number) => connection.delete(freedNames).where(lte(freedNames.until, now)).run().changes,

    /** Frees every name. */
    clear: () => connection.delete(freedNames).run()
  }
}
