import { sql } from '../drizzle.ts'
import type { Words } from '../sqlite/words.ts'

/** A kind of actor. */
type ActorKind = 'anonymous' | 'user' | 'client' | 'cli' | 'service'

const ACTOR_KINDS: [ActorKind, ...ActorKind[]] = ['anonymous', 'user', 'client', 'cli', 'service']

export function auditTables ({ bytes, check, index, json, number, table, text }: Words) {
  /**
   * Events, each row chained to the one before by its hash (db/audit-chain.ts). Triggers let it grow at its end and
   * shrink at its beginning, and nothing else. Refreshes, by far the most, are in no index: it would cost more than the row.
   */
  const auditEvents = table('audit_events', {
    /** Without gaps. */
    sequence: number().primaryKey(),
    at: number().notNull(),
    event: text().notNull(),
    outcome: text().notNull(),
    actorKind: text({ enum: ACTOR_KINDS }).notNull(),
    actorId: text(),
    /** The account that it happened to. No reference: the event outlives the account. */
    subject: text(),
    session: text(),
    /** The other thing that it happened to: the `jti`, `kid`, client or other session that the event speaks of. */
    target: text(),
    ip: text(),
    userAgent: text(),
    requestId: text(),
    details: json().$type<Record<string, unknown>>(),
    hash: bytes().notNull()
  }, (auditEvents) => [
    check('audit_events_actor_kind', sql`${auditEvents.actorKind} in ('anonymous', 'user', 'client', 'cli', 'service')`),
    check('audit_events_hash_is_sha_256', sql`length(${auditEvents.hash}) = 32`),
    index('audit_events_subject').on(auditEvents.subject).where(sql`event <> 'refreshed'`),
    index('audit_events_session').on(auditEvents.session).where(sql`event <> 'refreshed'`),
    index('audit_events_request_id').on(auditEvents.requestId).where(sql`event <> 'refreshed'`),
    index('audit_events_target').on(auditEvents.target).where(sql`target is not null`)
  ])

  /** One row: the last event that retention took away, from which the chain goes on. */
  const auditAnchor = table('audit_anchor', {
    id: number().primaryKey(),
    sequence: number().notNull(),
    hash: bytes().notNull()
  }, (auditAnchor) => [
    check('audit_anchor_is_one', sql`${auditAnchor.id} = 1`)
  ])

  return { auditEvents, auditAnchor }
}

type AuditTables = ReturnType<typeof auditTables>

export type AuditEvent = AuditTables['auditEvents']['$inferSelect']
export type NewAuditEvent = Omit<AuditTables['auditEvents']['$inferInsert'], 'sequence' | 'hash'>
