import { sql } from '../drizzle.ts'
import type { Words } from '../sqlite/words.ts'

const KINDS: ['jti', 'sid', 'kid'] = ['jti', 'sid', 'kid']

export function revocationTables ({ check, index, number, sequence, table, text }: Words) {
  /** Everything that was revoked before it expired: an access token (`jti`), a session (`sid`) or a signing key (`kid`). */
  const revocations = table('revocations', {
    /** Grows with every revocation, so that a reader can ask for what is new. */
    sequence: sequence(),
    revokedId: text().notNull().unique('revocations_revoked_id'),
    until: number().notNull(),
    kind: text({ enum: KINDS }).notNull().default('sid')
  }, (revocations) => [
    check('revocations_kind', sql`${revocations.kind} in ('jti', 'sid', 'kid')`),
    index('revocations_until').on(revocations.until)
  ])

  return { revocations }
}

export type Revocation = ReturnType<typeof revocationTables>['revocations']['$inferSelect']
