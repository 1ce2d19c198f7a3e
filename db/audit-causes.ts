import { and, asc, desc, eq, gt, inArray, sql } from './drizzle.ts'
import { auditEvents } from './schema.ts'
import type { AuditEvent } from './audit-chain.ts'
import type { Connection } from './index.ts'

const MOST = 1000

/** What may have ended all sessions of an account. */
const ENDINGS = ['logged_out', 'password_changed', 'account_changed', 'account_deleted']

/** What the audit log knows of why something is no longer good. */
export function auditCauses (connection: Connection) {
  const { event, sequence, session, subject, target } = auditEvents
  const notRefreshed = sql`event <> 'refreshed'` // as the indexes say it
  const ofSession = connection.select().from(auditEvents)
    .where(and(eq(session, sql.placeholder('id')), notRefreshed)).orderBy(asc(sequence)).limit(MOST).prepare()
  const endings = connection.select().from(auditEvents)
    .where(and(eq(subject, sql.placeholder('subject')), notRefreshed, inArray(event, ENDINGS), gt(sequence, sql.placeholder('after')))).orderBy(asc(sequence)).limit(MOST).prepare()
  const ofTarget = connection.select().from(auditEvents).where(eq(target, sql.placeholder('id'))).orderBy(desc(sequence)).limit(1).prepare()

  return {
    /** What ended a session: something that names it, or else the first thing after its beginning that ended all of its account's. */
    async sessionEnd (id: string, subject?: string): Promise<AuditEvent | undefined> {
      const events = ofSession.all({ id })
      const own = events.find(({ event, target }) => event === 'logged_out' || event === 'reuse_detected' || (event === 'revoked' && target === null)) ?? ofTarget.get({ id })
      const [beginning] = events // if it is not there any more, nor is anything from before it
      const user = subject ?? beginning?.subject
      if (own || !user) return own
      return endings.all({ subject: user, after: beginning?.sequence ?? 0 }).find((event) => endsOthersThan(event, id))
    },

    /** What was last done to a key, a client or an access token. */
    async lastOf (target: string): Promise<AuditEvent | undefined> {
      return ofTarget.get({ id: target })
    }
  }
}

function endsOthersThan ({ event, session, details }: AuditEvent, other: string): boolean {
  if (event === 'account_changed') return details?.endsSessions === true
  return session !== other && (event !== 'logged_out' || session === null)
}
