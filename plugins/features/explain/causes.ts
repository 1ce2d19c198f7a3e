import type { FastifyInstance } from 'fastify'
import type { AuditEvent } from '../../core/database.ts'
import type { Explanation, Reason } from './explanation.ts'

const LAST_MILLISECOND = 8.64e15

/** Finds the events that made tokens invalid, and says so. */
export function causeFinder ({ accounts, auditLog }: FastifyInstance) {
  function describe (reason: Reason, sentence: string, cause: AuditEvent | undefined): Explanation {
    return { reason, explanation: `${sentence}${toText(cause)}.`, cause }
  }

  async function ofSession (session: string, subject?: string): Promise<Explanation> {
    const cause = await auditLog.sessionEnd(session, subject)
    const id = subject ?? cause?.subject ?? undefined
    const user = id === undefined ? undefined : await accounts.findById(id)
    const isDeleted = id !== undefined && !user
    if (isDeleted) return describe('account_deleted', 'The account was deleted, and the session of the token is over', cause)
    if (user?.disabled) return describe('account_disabled', 'The account is disabled, and the session of the token is over', cause)
    return describe('session_over', 'The session of the token is over', cause)
  }

  return { describe, ofSession }
}

function toText (cause: AuditEvent | undefined): string {
  if (!cause) return ' (the audit log does not say why)'
  return `: ${cause.event}, by ${cause.actorKind}${cause.actorId === null ? '' : ` ${cause.actorId}`}, at ${toTime(cause.at)}`
}

/** A time in ISO 8601; a token may have made it up. */
export function toTime (time: number): string {
  return Math.abs(time) <= LAST_MILLISECOND ? new Date(time).toISOString() : 'a time that no clock shows'
}
