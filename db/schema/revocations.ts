import { check, index, integer, sql, sqliteTable, text } from '../drizzle.ts'

/** Everything that was revoked before it expired: an access token (`jti`), a session (`sid`) or a signing key (`kid`). */
export const revocations = sqliteTable('revocations', {
  /** Grows with every revocation, so that a reader can ask for what is new. */
  sequence: integer().primaryKey({ autoIncrement: true }),
  revokedId: text().notNull().unique('revocations_revoked_id'),
  until: integer().notNull(),
  kind: text({ enum: ['jti', 'sid', 'kid'] }).notNull().default('sid')
}, (revocations) => [
  check('revocations_kind', sql`${revocations.kind} in ('jti', 'sid', 'kid')`),
  index('revocations_until').on(revocations.until)
])

export type Revocation = typeof revocations.$inferSelect
