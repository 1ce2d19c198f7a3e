import { and, asc, desc, eq, gt, inArray, sql } from './drizzle.ts'
import type { AuditEvent } from './schema/index.ts'
import type { Store } from './store.ts'

const MOST = 1000

/** Events that may have ended all sessions of an account. */
const ENDINGS = ['logged_out', 'password_changed', 'account_changed', 'account_deleted']

/** Events that ended the sessions of everybody. */
const ENDINGS_OF_ALL = ['all_sessions_ended', 'all_accounts_deleted']

/** Finds the events that made something invalid. */
export function auditCauses ({ build, chainEvents, compile, read, tables: { auditEvents } }: Store) {
  const { event, sequence, session, subject, target } = auditEvents
  const [id, after] = [sql.placeholder('id'), sql.placeholder('after')]
  const notRefreshed = sql`event <> 'refreshed'` // as the indexes say it
  const ofSession = compile(build.select().from(auditEvents)
    .where(and(eq(session, id), notRefreshed)).orderBy(asc(sequence)).limit(MOST))
  const endings = compile(build.select().from(auditEvents).where(and(
    eq(subject, sql.placeholder('subject')),
    notRefreshed,
    inArray(event, ENDINGS),
    gt(sequence, after)
  )).orderBy(asc(sequence)).limit(MOST))
  const endingsOfAll = compile(build.select().from(auditEvents)
    .where(and(inArray(event, ENDINGS_OF_ALL), gt(sequence, after))).orderBy(asc(sequence)).limit(1))
  const ofTarget = compile(build.select().from(auditEvents).where(eq(target, id)).orderBy(desc(sequence)).limit(1))

  /** The last event of a key, a client or an access token. */
  async function lastOf (target: string): Promise<AuditEvent | undefined> {
    await chainEvents()
    const [event] = await read(ofTarget, { id: target })
    return event
  }

  return {
    /**
     * The event that ended a session: one that names it, or else the first after its beginning that ended all sessions of
     * its account, or of everybody.
     */
    async sessionEnd (id: string, subject?: string): Promise<AuditEvent | undefined> {
      await chainEvents()
      const events = await read(ofSession, { id })
      const own = events.find(endsItsSession) ?? await lastOf(id)
      const [beginning] = events // if it is not there any more, nor is anything from before it
      const user = subject ?? beginning?.subject
      if (own || !user) return own
      const after = beginning?.sequence ?? 0
      const ofUser = (await read(endings, { subject: user, after })).find((event) => endsOthersThan(event, id))
      const [ofAll] = await read(endingsOfAll, { after })
      return [ofUser, ofAll].filter((event) => event !== undefined).toSorted((a, b) => a.sequence - b.sequence)[0]
    },

    lastOf
  }
}

function endsItsSession ({ event, target }: AuditEvent): boolean {
  return event === 'logged_out' || event === 'reuse_detected' || (event === 'revoked' && target === null)
}

function endsOthersThan ({ event, session, details }: AuditEvent, other: string): boolean {
  if (event === 'account_changed') return details?.endsSessions === true
  return session !== other && (event !== 'logged_out' || session === null)
}
