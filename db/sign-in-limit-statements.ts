import { and, asc, eq, gt, lte, or, sql } from './drizzle.ts'
import type { Dialect } from './store.ts'

/** The statements of the sign-in limits. */
export function signInLimitStatements ({ build, compile, tables: { guesses, knownPairs } }: Dialect) {
  const [key, now, until] = [sql.placeholder('key'), sql.placeholder('now'), sql.placeholder('until')]
  const [forgottenAt, opensAt] = [sql.placeholder('forgottenAt'), sql.placeholder('opensAt')]
  const isOne = or(...['a', 'b', 'c', 'd', 'e'].map((name) => eq(guesses.key, sql.placeholder(name))))
  const rows = build.select().from(guesses).where(isOne).orderBy(asc(guesses.key))
  const insert = build.insert(guesses).values({ key, forgottenAt, opensAt })

  return {
    find: compile(rows),
    lock: compile(rows, { locks: true }),
    addEmpty: compile(build.insert(guesses).values({ key, forgottenAt, opensAt }).onConflictDoNothing()),
    put: compile(insert.onConflictDoUpdate({
      target: guesses.key,
      set: { forgottenAt: sql`excluded.forgotten_at`, opensAt: sql`excluded.opens_at` }
    })),
    /** Takes an attempt back, and opens what it closed, unless a later attempt closed it again. */
    undo: compile(build.update(guesses).set({
      forgottenAt: sql`${guesses.forgottenAt} - ${sql.placeholder('windowMilliseconds')}`,
      opensAt: sql`case when ${guesses.opensAt} = ${opensAt} then ${sql.placeholder('openedAt')} else ${guesses.opensAt} end`
    }).where(eq(guesses.key, key))),
    isKnown: compile(build.select({ key: knownPairs.key }).from(knownPairs).where(and(eq(knownPairs.key, key), gt(knownPairs.until, now)))),
    know: compile(build.insert(knownPairs).values({ key, until })
      .onConflictDoUpdate({ target: knownPairs.key, set: { until: sql`excluded.until` } })),
    forgetAttempts: compile(build.delete(guesses).where(lte(guesses.forgottenAt, now))),
    forgetPairs: compile(build.delete(knownPairs).where(lte(knownPairs.until, now)))
  }
}
