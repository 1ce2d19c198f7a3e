import { Type } from 'typebox'
import { Id, Timestamp } from '../schemas.ts'
import type { Static } from 'typebox'
import type { AuditEvent as AuditRow } from '../../plugins/core/database.ts'

const Nullable = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()])

const RequestId = Type.String({
  pattern: '^[\\w.-]{1,64}$',
  description: 'The X-Request-Id of an answer',
  examples: ['9f0c1c1e-6a0f-4f5e-9f3c-0a5b1f0d7c11']
})

const Actor = Type.Object({
  kind: Type.Enum(['anonymous', 'user', 'client', 'cli', 'service']),
  id: Nullable(Type.String())
}, { title: 'AuditActor', description: 'Who did it' })

export const AuditQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ pattern: '^\\d{1,15}$', description: 'The `next_cursor` of the page before' })),
  user: Type.Optional({ ...Id, description: 'Only events of this account; without its refreshes, unless `event` asks for them' }),
  event: Type.Optional(Type.String({ pattern: '^[a-z_]{1,32}$', examples: ['sign_in_refused'] })),
  since: Type.Optional({ ...Timestamp, description: 'Only events from this time on' }),
  request_id: Type.Optional({ ...RequestId, description: 'Only events of this request; without refreshes, unless `event` asks for them' })
}, { additionalProperties: false })

export const AuditEvent = Type.Object({
  sequence: Type.Integer({ examples: [4711] }),
  at: Timestamp,
  event: Type.String({ examples: ['logged_out'] }),
  outcome: Type.String({ description: '`done`, or of a refusal its code', examples: ['done'] }),
  actor: Actor,
  subject: Nullable(Type.String({ description: 'The account that it happened to' })),
  session: Nullable(Type.String()),
  target: Nullable(Type.String({ description: 'The access token, key, client or other session that it happened to' })),
  ip: Nullable(Type.String({ examples: ['203.0.113.7'] })),
  user_agent: Nullable(Type.String({ examples: ['curl/8.5.0'] })),
  request_id: Nullable(Type.String()),
  details: Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]),
  hash: Type.String({ description: 'SHA-256 of this event and the hash before it, in hexadecimal' })
}, { title: 'AuditEvent', description: 'An event of the audit log' })

export const AuditPage = Type.Object({
  events: Type.Array(AuditEvent),
  next_cursor: Type.Union([Type.String(), Type.Null()], {
    description: 'A page may hold fewer than `limit` events, or none, and yet have a next one'
  })
}, { title: 'AuditPage', description: 'A page of events' })

/** An event as administrators see it, and as it is exported. */
export function toAuditEvent ({ at, actorKind, actorId, userAgent, requestId, hash, ...row }: AuditRow): Static<typeof AuditEvent> {
  const { sequence, event, outcome, subject, session, target, ip, details } = row
  return {
    sequence,
    at: new Date(at).toISOString(),
    event,
    outcome,
    actor: { kind: actorKind, id: actorId },
    subject,
    session,
    target,
    ip,
    user_agent: userAgent,
    request_id: requestId,
    details,
    hash: hash.toString('hex')
  }
}
