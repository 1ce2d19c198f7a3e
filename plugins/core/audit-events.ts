import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { NewAuditEvent } from './database.ts'

export type AuditListener = (event: NewAuditEvent) => void

/** The log line of an event. Events of refusals have none: errors.ts logs them. */
export interface EventKind { level?: 'info' | 'warn', message?: string, /** The log's name for `target`. */ target?: string }

/** The events of the core. Features add theirs (`audit.addEvents`). */
export const CORE_EVENTS = {
  registered: { level: 'info', message: 'registered' },
  account_created: { level: 'info', message: 'account created' },
  account_changed: { level: 'info', message: 'account changed' },
  account_deleted: { level: 'info', message: 'account deleted' },
  all_accounts_deleted: { level: 'warn', message: 'all accounts deleted' },
  signed_in: { level: 'info', message: 'signed in', target: 'ended' },
  sign_in_refused: {},
  password_refused: {},
  password_changed: { level: 'info', message: 'password changed' },
  refreshed: { level: 'info', message: 'refreshed' },
  refreshed_elsewhere: { level: 'warn', message: 'a refresh token was used a second time, from elsewhere: the next tokens were given' },
  reuse_detected: { level: 'warn', message: 'a refresh token was used twice: its session is revoked' },
  all_sessions_ended: { level: 'warn', message: 'the sessions of everybody ended' },
  logged_out: { level: 'info', message: 'logged out' },
  revoked: { level: 'info', message: 'revoked', target: 'token' },
  key_added: { level: 'info', message: 'signing key added', target: 'kid' },
  key_revoked: { level: 'warn', message: 'signing key revoked: its tokens are refused', target: 'kid' },
  restored: { level: 'warn', message: 'a backup was restored' }
} as const satisfies Record<string, EventKind>

/** Writes the log line of an event. An event of no kind has none. */
export function logEvent (log: FastifyBaseLogger, audited: NewAuditEvent, { level, message, target: name = 'target' }: EventKind = {}) {
  if (!level) return
  const { event, outcome, subject, actorKind, actorId, session, target, ip, details } = audited
  const by = actorKind === 'user' && actorId === subject ? undefined : actorId ?? actorKind
  log[level]({ event, outcome, user: subject, by, session, [name]: target, ip, ...details }, message)
}

/** The actor of a request; `subject` when the request has no access token, and the subject acted. */
export function identify ({ user, actor }: FastifyRequest, subject: string | undefined): Pick<NewAuditEvent, 'actorKind' | 'actorId'> {
  if (actor) return actor
  const id = user?.sub ?? subject
  return id === undefined ? { actorKind: 'anonymous' } : { actorKind: 'user', actorId: id }
}
