import { blob, check, index, integer, sql, sqliteTable, text } from '../drizzle.ts'

/**
 * Events, each row chained to the one before by its hash (db/audit-chain.ts). Triggers let it grow at its end and
 * shrink at its beginning, and nothing else. Refreshes, by far the most, are in no index: it would cost more than the row.
 */
export const auditEvents = sqliteTable('audit_events', {
  /** Without gaps. */
  sequence: integer().primaryKey(),
  at: integer().notNull(),
  event: text().notNull(),
  outcome: text().notNull(),
  actorKind: text({ enum: ['anonymous', 'user', 'client', 'cli', 'service'] }).notNull(),
  actorId: text(),
  /** The account that it happened to. No reference: the event outlives the account. */
  subject: text(),
  session: text(),
  /** The other thing that it happened to: the `jti`, `kid`, client or other session that the event speaks of. */
  target: text(),
  ip: text(),
  userAgent: text(),
  requestId: text(),
  details: text({ mode: 'json' }).$type<Record<string, unknown>>(),
  hash: blob({ mode: 'buffer' }).notNull()
}, (auditEvents) => [
  check('audit_events_actor_kind', sql`${auditEvents.actorKind} in ('anonymous', 'user', 'client', 'cli', 'service')`),
  check('audit_events_hash_is_sha_256', sql`length(${auditEvents.hash}) = 32`),
  index('audit_events_subject').on(auditEvents.subject).where(sql`event <> 'refreshed'`),
  index('audit_events_session').on(auditEvents.session).where(sql`event <> 'refreshed'`),
  index('audit_events_request_id').on(auditEvents.requestId).where(sql`event <> 'refreshed'`),
  index('audit_events_target').on(auditEvents.target).where(sql`target is not null`)
])

/** One row: the last event that retention took away, from which the chain goes on. */
export const auditAnchor = sqliteTable('audit_anchor', {
  id: integer().primaryKey(),
  sequence: integer().notNull(),
  hash: blob({ mode: 'buffer' }).notNull()
}, (auditAnchor) => [
  check('audit_anchor_is_one', sql`${auditAnchor.id} = 1`)
])

export type AuditEvent = typeof auditEvents.$inferSelect
export type NewAuditEvent = Omit<typeof auditEvents.$inferInsert, 'sequence' | 'hash'>
