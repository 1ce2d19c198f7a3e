import { check, index, integer, sql, sqliteTable, text } from '../drizzle.ts'

/** Counts of requests with passwords, by address (a keyed hash of it), in the current window. */
export const requestCounts = sqliteTable('request_counts', {
  key: text().primaryKey(),
  count: integer().notNull(),
  until: integer().notNull()
}, (requestCounts) => [
  check('request_counts_count', sql`${requestCounts.count} >= 1`),
  index('request_counts_until').on(requestCounts.until)
])

/** Wrong passwords, by address, by account and by the pair of them. The keys are keyed hashes: who it was stands nowhere. */
export const guesses = sqliteTable('guesses', {
  key: text().primaryKey(),
  /** When the last of them is forgotten. One is at regular intervals, so this also says how many there are. */
  forgottenAt: integer().notNull(),
  /** From when on the next password is taken. */
  opensAt: integer().notNull()
}, (guesses) => [
  index('guesses_forgotten_at').on(guesses.forgottenAt)
])

/** The pairs of address and account, by its id, that have signed in, in the same keyed form. */
export const knownPairs = sqliteTable('known_pairs', {
  key: text().primaryKey(),
  until: integer().notNull()
}, (knownPairs) => [
  index('known_pairs_until').on(knownPairs.until)
])

/** An address that has signed in to an account, and how long that is remembered. */
export type KnownPair = typeof knownPairs.$inferSelect
