import fp from 'fastify-plugin'
import { CORE_EVENTS, identify, logEvent } from './audit-events.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { AuditListener, EventKind } from './audit-events.ts'
import type { AuditEntry, NewAuditEvent, Permit } from './database.ts'

const USER_AGENT_LENGTH = 128

/** The caller of a request, or what acts without one. */
export type Actor = FastifyRequest | 'cli' | 'service'

/** An event to record. Never a token, a password, a hash or a name: the audit log is kept when an account is not. */
export interface AuditRecord {
  event: AuditEventName
  /** `done` unless said otherwise; of a refusal its code. */
  outcome?: string
  /** The account that it happened to. */
  subject?: string
  session?: string
  /** A `jti`, `kid` or client id; of a sign-in the session that ended for it, because the account had too many. */
  target?: string
  details?: Record<string, unknown>
  /** True when the subject did it, and the request has no access token that says so. */
  isBySubject?: boolean
}

declare module 'fastify' {
  /** The names of all audit events. A feature adds its own: `interface AuditEventNames { mail_sent: true }`. */
  interface AuditEventNames extends Record<keyof typeof CORE_EVENTS, true> {}

  interface FastifyInstance { audit: Audit }
  interface FastifyRequest {
    /** The caller that is no user, set by the hook that authenticated it. */
    actor: Pick<NewAuditEvent, 'actorKind' | 'actorId'> | null
  }
}

export type AuditEventName = keyof import('fastify').AuditEventNames

export interface Audit {
  /** Adds the events of a feature. */
  addEvents: (kinds: Partial<Record<AuditEventName, EventKind>>) => void
  /** The names of all events there are. */
  eventNames: () => string[]
  /**
   * Makes the entry that a repository writes in the transaction of the operation, and that is logged after the commit.
   * A record that does not depend on the outcome is written unless the outcome is `false`: then nothing was done.
   * The operation is refused when the caller's token or client was revoked meanwhile.
   */
  entry: <Outcome>(actor: Actor, record: AuditRecord | ((outcome: Outcome) => AuditRecord | undefined)) => AuditEntry<Outcome>
  /** Writes an entry of its own, for what changes nothing else. */
  record: (actor: Actor, record: AuditRecord) => Promise<void>
  /** Calls `listener` with every event, once it is on disk. A listener that throws is logged, and changes nothing. */
  subscribe: (listener: AuditListener) => void
}

/** The one way into the audit log, and the log lines that go with it. */
const audit: FastifyPluginAsync = async (fastify) => {
  const { config: { auditsRefreshes }, db, log, now } = fastify
  const kinds = new Map<string, EventKind>(Object.entries(CORE_EVENTS))
  const listeners: AuditListener[] = []

  function toEvent (actor: Actor, { event, outcome = 'done', subject, session, target, details, isBySubject }: AuditRecord): NewAuditEvent {
    const common = { at: now(), event, outcome, subject, session, target, details }
    if (typeof actor === 'string') return { ...common, actorKind: actor }
    const userAgent = actor.headers['user-agent']?.slice(0, USER_AGENT_LENGTH)
    return { ...common, ...identify(actor, isBySubject ? subject : undefined), ip: actor.ip, userAgent, requestId: actor.id }
  }

  /** A token or client that is revoked while its request is under way must write no more. */
  function permitOf ({ user, actor }: FastifyRequest): Permit | undefined {
    if (actor?.actorKind === 'client') return { clientId: actor.actorId! } // a client has an id
    return user ? { sid: user.sid, jti: user.jti } : undefined
  }

  function entry<Outcome> (actor: Actor, record: AuditRecord | ((outcome: Outcome) => AuditRecord | undefined)): AuditEntry<Outcome> {
    return {
      permit: typeof actor === 'string' ? undefined : permitOf(actor),
      toEvent (outcome) {
        const isDone = outcome !== false
        const made = typeof record === 'function' ? record(outcome) : isDone && record
        return made ? toEvent(actor, made) : undefined
      },
      isStored: ({ event }) => auditsRefreshes || event !== 'refreshed',
      committed (event) {
        logEvent(typeof actor === 'string' ? log : actor.log, event, kinds.get(event.event))
        for (const listener of listeners) notify(listener, event)
      }
    }
  }

  /** The event is on disk already, so a listener that fails must not fail the request. */
  function notify (listener: AuditListener, event: NewAuditEvent) {
    try {
      listener(event)
    } catch (err) {
      log.error({ err, event: event.event }, 'a listener of audit events failed')
    }
  }

  fastify.decorateRequest('actor', null)
  fastify.decorate('audit', {
    addEvents: (added) => { for (const [name, kind] of Object.entries(added)) kinds.set(name, kind) },
    eventNames: () => [...kinds.keys()],
    entry,
    record: (actor, record) => db.audit.add(entry(actor, record)),
    subscribe: (listener) => { listeners.push(listener) }
  })
}

export default fp(audit, { name: 'audit', dependencies: ['clock', 'config', 'database'] })
