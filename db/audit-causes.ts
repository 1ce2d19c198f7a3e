import { and, asc, desc, eq, gt, inArray, sql } from './drizzle.ts'
import { auditEvents } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { AuditEvent } from './schema/index.ts'

const MOST = 1000

/** Events that may have ended all sessions of an account. */
const ENDINGS = ['logged_out', 'password_changed', 'account_changed', 'account_deleted']

/** Events that ended the sessions of everybody. */
const ENDINGS_OF_ALL = ['all_sessions_ended', 'all_accounts_deleted']

/** Finds the events that made something invalid. */
export function auditCauses (connection: Connection) {
  const { event, sequence, session, subject, target } = auditEvents
  const notRefreshed = sql`event <> 'refreshed'` // as the indexes say it
  const ofSession = connection.select().from(auditEvents)
    .where(and(eq(session, sql.placeholder('id')), notRefreshed))
    .orderBy(asc(sequence)).limit(MOST).prepare()
  const endings = connection.select().from(auditEvents).where(and(
    eq(subject, sql.placeholder('subject')),
    notRefreshed,
    inArray(event, ENDINGS),
    gt(sequence, sql.placeholder('after'))
  )).orderBy(asc(sequence)).limit(MOST).prepare()
  const endingsOfAll = connection.select().from(auditEvents)
    .where(and(inArray(event, ENDINGS_OF_ALL), gt(sequence, sql.placeholder('after'))))
    .orderBy(asc(sequence)).limit(1).prepare()
  const ofTarget = connection.select().from(auditEvents)
    .where(eq(target, sql.placeholder('id')))
    .orderBy(desc(sequence)).limit(1).prepare()

  return {
    /**
     * The event that ended a session: one that names it, or else the first after its beginning that ended all sessions of
     * its account, or of everybody.
     */
    async sessionEnd (id: string, subject?: string): Promise<AuditEvent | undefined> {
      const events = ofSession.all({ id })
      const own = events.find(endsItsSession) ?? ofTarget.get({ id })
      const [beginning] = events // if it is not there any more, nor is anything from before it
      const user = subject ?? beginning?.subject
      if (own || !user) return own
      const after = beginning?.sequence ?? 0
      const ofUser = endings.all({ subject: user, after }).find((event) => endsOthersThan(event, id))
      const ofAll = endingsOfAll.get({ after })
      return [ofUser, ofAll].filter((event) => event !== undefined).toSorted((a, b) => a.sequence - b.sequence)[0]
    },

    /** The last event of a key, a client or an access token. */
    async lastOf (target: string): Promise<AuditEvent | undefined> {
      return ofTarget.get({ id: target })
    }
  }
}

function endsItsSession ({ event, target }: AuditEvent): boolean {
  return event === 'logged_out' || event === 'reuse_detected' || (event === 'revoked' && target === null)
}

function endsOthersThan ({ event, session, details }: AuditEvent, other: string): boolean {
  if (event === 'account_changed') return details?.endsSessions === true
  return session !== other && (event !== 'logged_out' || session === null)
}
