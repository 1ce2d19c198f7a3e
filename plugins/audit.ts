import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { NewAuditEvent, Note } from './db.ts'

const USER_AGENT_LENGTH = 128

/** What is told, and how the log says it. What is refused has no level: plugins/errors.ts logs it. `target` names that of the event. */
const EVENTS = {
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
  reuse_detected: { level: 'warn', message: 'a refresh token was used twice: its session is over' },
  logged_out: { level: 'info', message: 'logged out' },
  revoked: { level: 'info', message: 'revoked', target: 'token' },
  client_created: { level: 'info', message: 'client created', target: 'client' },
  client_deleted: { level: 'info', message: 'client deleted', target: 'client' },
  key_added: { level: 'info', message: 'a signing key was added', target: 'kid' },
  key_burnt: { level: 'warn', message: 'a signing key was burnt: its tokens are refused', target: 'kid' },
  restored: { level: 'warn', message: 'a backup was restored' }
} as const satisfies Record<string, { level?: 'info' | 'warn', message?: string, target?: string }>

type EventName = keyof typeof EVENTS

/** Who does a deed: the caller of a request, or what acts without one. */
export type By = FastifyRequest | 'cli' | 'service'

/** What happened. Never a token, a password, a hash or a name: the audit log is kept when an account is not. */
export interface Fact {
  event: EventName
  /** `done` unless said otherwise; of a refusal its code. */
  outcome?: string
  /** The account that it happened to. */
  subject?: string
  session?: string
  /** A `jti`, `kid` or client id; of a sign-in the session that ended for it, because the account had too many. */
  target?: string
  details?: Record<string, unknown>
  /** Whether the subject did it, when the request has no access token that says who. */
  isBySubject?: boolean
}

declare module 'fastify' {
  interface FastifyInstance { audit: Audit }
}

export interface Audit {
  /**
   * For a repository: what it writes into the audit log in the transaction of the deed, and what is logged after the commit.
   * A fact that does not depend on the outcome is told unless that is `false`: then nothing was done.
   */
  note: <T>(by: By, fact: Fact | ((outcome: T) => Fact | undefined)) => Note<T>
  /** Forgets what is older than AUDIT_RETENTION. */
  prune: () => Promise<void>
}

/** The one place from which what happens gets into the audit log and into the log. */
const audit: FastifyPluginAsync = async (fastify) => {
  const { config: { auditRetentionSeconds, auditsRefreshes }, db, log, now } = fastify

  function eventOf (by: By, { event, outcome = 'done', subject, session, target, details, isBySubject }: Fact): NewAuditEvent {
    const common = { at: now(), event, outcome, subject, session, target, details }
    if (typeof by === 'string') return { ...common, actorKind: by }
    return { ...common, ...actorOf(by, isBySubject ? subject : undefined), ip: by.ip, userAgent: by.headers['user-agent']?.slice(0, USER_AGENT_LENGTH), requestId: by.id }
  }

  function note<T> (by: By, fact: Fact | ((outcome: T) => Fact | undefined)): Note<T> {
    return {
      of (outcome) {
        if (typeof fact !== 'function') return outcome === false ? undefined : eventOf(by, fact)
        const it = fact(outcome)
        return it && eventOf(by, it)
      },
      keeps: ({ event }) => auditsRefreshes || event !== 'refreshed',
      committed: (event) => write(typeof by === 'string' ? log : by.log, event)
    }
  }

  fastify.decorate('audit', {
    note,
    prune: () => db.audit.prune(now() - auditRetentionSeconds * 1000)
  })
}

function actorOf ({ user, clientId }: FastifyRequest, subject: string | undefined): Pick<NewAuditEvent, 'actorKind' | 'actorId'> {
  if (clientId) return { actorKind: 'client', actorId: clientId }
  const id = user?.sub ?? subject
  return id === undefined ? { actorKind: 'anonymous' } : { actorKind: 'user', actorId: id }
}

function write (log: FastifyRequest['log'], { event, outcome, subject, actorKind, actorId, session, target, ip, details }: NewAuditEvent) {
  const { level, message, target: name = 'target' }: { level?: 'info' | 'warn', message?: string, target?: string } = EVENTS[event as EventName] // only `eventOf` makes one
  if (!level) return
  const by = actorId === subject ? undefined : actorId ?? actorKind
  log[level]({ event, outcome, user: subject, by, session, [name]: target, ip, ...details }, message)
}

export default fp(audit, { name: 'audit', dependencies: ['clock', 'config', 'db'] })
