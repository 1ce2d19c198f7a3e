import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'
import type { AuditEvent, AuditPage, AuditQuery, Verification } from './database.ts'

const PRUNE_INTERVAL_MILLISECONDS = 60_000

declare module 'fastify' {
  interface FastifyInstance { auditLog: AuditLog }
}

export interface AuditLog {
  /** A page of events, the newest first. */
  list: (query: AuditQuery) => Promise<AuditPage>
  /** The names of the events that there may be. */
  eventNames: () => string[]
  /** Every event, oldest first, read a page at a time. */
  walk: () => AsyncGenerator<AuditEvent>
  /** Computes the chain of hashes again; `head` is an event and its hash (`sequence:hash`) that must be in it. */
  verify: (head?: string) => Promise<Verification>
  /** The event that ended a session; undefined when the log does not reach that far. */
  sessionEnd: (session: string, subject?: string) => Promise<AuditEvent | undefined>
  /** The last event of a key, a client or an access token. */
  lastOf: (target: string) => Promise<AuditEvent | undefined>
  /** Forgets the events that are older than AUDIT_RETENTION. */
  prune: () => Promise<void>
}

/** Reads what `audit` wrote. */
const auditLog: FastifyPluginAsync = async (fastify) => {
  const { audit, config: { auditRetentionSeconds }, db, forgetBefore, jobs } = fastify

  function prune () {
    return db.audit.prune(forgetBefore(auditRetentionSeconds * 1000))
  }

  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-audit-log', prune)
  const { list, walk, verify, sessionEnd, lastOf } = db.audit
  fastify.decorate('auditLog', { eventNames: audit.eventNames, list, walk, verify, sessionEnd, lastOf, prune })
}

export default fp(auditLog, { name: 'audit-log', dependencies: ['audit', 'config', 'database', 'forgetting', 'jobs'] })
