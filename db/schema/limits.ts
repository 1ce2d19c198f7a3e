import { sql } from '../drizzle.ts'
import type { Words } from '../sqlite/words.ts'

export function limitTables ({ check, index, number, table, text }: Words) {
  /** Counts of requests with passwords, by address (a keyed hash of it), in the current window. */
  const requestCounts = table('request_counts', {
    key: text().primaryKey(),
    count: number().notNull(),
    until: number().notNull()
  }, (requestCounts) => [
    check('request_counts_count', sql`${requestCounts.count} >= 1`),
    index('request_counts_until').on(requestCounts.until)
  ])

  /** Wrong passwords, by address, by account and by the pair of them. The keys are keyed hashes: who it was stands nowhere. */
  const guesses = table('guesses', {
    key: text().primaryKey(),
    /** When the last of them is forgotten. One is at regular intervals, so this also says how many there are. */
    forgottenAt: number().notNull(),
    /** From when on the next password is taken. */
    opensAt: number().notNull()
  }, (guesses) => [
    index('guesses_forgotten_at').on(guesses.forgottenAt)
  ])

  /** The pairs of address and account, by its id, that have signed in, in the same keyed form. */
  const knownPairs = table('known_pairs', {
    key: text().primaryKey(),
    until: number().notNull()
  }, (knownPairs) => [
    index('known_pairs_until').on(knownPairs.until)
  ])

  return { requestCounts, guesses, knownPairs }
}

/** The wrong passwords of one key. */
export type Guesses = ReturnType<typeof limitTables>['guesses']['$inferSelect']

/** An address that has signed in to an account, and how long that is remembered. */
export type KnownPair = ReturnType<typeof limitTables>['knownPairs']['$inferSelect']
