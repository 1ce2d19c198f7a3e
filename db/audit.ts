import { and, asc, desc, eq, gt, gte, lt, sql } from './drizzle.ts'
import { auditCauses } from './audit-causes.ts'
import { computeHash } from './audit-chain.ts'
import { auditAnchor, auditEvents } from './schema/index.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'
import type { AuditEvent } from './schema/index.ts'

const PAGE_SIZE = 1000

/** The events that one page looks at when no index helps: some 20 ms of them. */
const WINDOW = 50_000

export interface AuditQuery {
  limit: number
  /** Goes on below this event. */
  before?: number
  /** From this time on. */
  since?: number
  /** The account that it happened to. */
  subject?: string
  event?: string
  requestId?: string
}

export interface AuditPage {
  events: AuditEvent[]
  /** The `before` of the next page; undefined on the last one. */
  next?: number
}

/**
 * The log as it was verified: `broken` is the first event that does not follow from the one before it; `hasHead` says whether
 * what was asked for, an event and its hash as `sequence:hash`, was met.
 */
export interface Verification {
  events: number
  last: { sequence: number, hash: Buffer }
  broken?: number
  hasHead: boolean
}

export function auditRepository (connection: Connection, write: AuditedWrite) {
  const { sequence } = auditEvents
  const notRefreshed = sql`event <> 'refreshed'` // as the indexes say it
  const timeFrom = connection.select({ at: auditEvents.at }).from(auditEvents)
    .where(gte(sequence, sql.placeholder('sequence'))).orderBy(asc(sequence)).limit(1).prepare()
  const newest = connection.select({ sequence, hash: auditEvents.hash }).from(auditEvents).orderBy(desc(sequence)).limit(1).prepare()
  const anchor = connection.select({ sequence: auditAnchor.sequence, hash: auditAnchor.hash }).from(auditAnchor).prepare()
  const page = connection.select().from(auditEvents)
    .where(gt(sequence, sql.placeholder('after'))).orderBy(asc(sequence)).limit(PAGE_SIZE).prepare()
  const firstYoung = connection.select({ sequence }).from(auditEvents)
    .where(and(gte(auditEvents.at, sql.placeholder('before')), lt(sequence, sql.placeholder('end'))))
    .orderBy(asc(sequence)).limit(1).prepare()

  const first = () => anchor.get()! // the migration made it, and a trigger keeps it
  const last = () => newest.get() ?? first()

  /** The last event before a time; times grow with the log, save where a clock was set back. */
  function lastBefore (time: number): number {
    let [low, high] = [first().sequence, last().sequence]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (timeFrom.get({ sequence: middle })!.at < time) low = middle // there is one, for the last is not before the middle
      else high = middle - 1
    }
    return low
  }

  function * walk (): Generator<AuditEvent> {
    let events = page.all({ after: first().sequence })
    while (events.length > 0) {
      yield * events
      events = page.all({ after: events.at(-1)!.sequence })
    }
  }

  function pruneSome (before: number): number {
    const from = first().sequence
    const end = Math.min(from + PAGE_SIZE, last().sequence) + 1
    const kept = firstYoung.get({ before, end })?.sequence ?? end
    const pruned = connection.select({ sequence, hash: auditEvents.hash }).from(auditEvents).where(eq(sequence, kept - 1)).get()
    if (!pruned) return 0
    connection.update(auditAnchor).set(pruned).run()
    return connection.delete(auditEvents).where(lt(sequence, kept)).run().changes
  }

  return {
    /** Writes an event that is an operation of its own. */
    add: (entry: AuditEntry<void>) => write(() => {}, entry),

    /**
     * Events, the newest first. Where no index leads to them a page looks at no more than a part of the log, and may hold
     * fewer than `limit`.
     */
    async list ({ limit, before = last().sequence + 1, since, subject, event, requestId }: AuditQuery): Promise<AuditPage> {
      const isIndexed = (subject ?? requestId) !== undefined && event !== 'refreshed'
      const floor = since === undefined ? first().sequence : lastBefore(since)
      const low = isIndexed ? floor : Math.max(floor, before - 1 - WINDOW)
      const found = connection.select().from(auditEvents).where(and(
        lt(sequence, before),
        gt(sequence, low),
        isIndexed ? notRefreshed : undefined,
        subject === undefined ? undefined : eq(auditEvents.subject, subject),
        requestId === undefined ? undefined : eq(auditEvents.requestId, requestId),
        event === undefined ? undefined : eq(auditEvents.event, event)
      )).orderBy(desc(sequence)).limit(limit + 1).all()

      const events = found.slice(0, limit)
      if (found.length > limit) return { events, next: events.at(-1)!.sequence } // limit is one at least
      return { events, ...low > floor && { next: low + 1 } }
    },

    ...auditCauses(connection),

    /** Every event, oldest first, a page at a time. */
    walk,

    /** Computes every hash again. */
    async verify (head?: string): Promise<Verification> {
      let last = first()
      let events = 0
      let hasHead = head === undefined || head === nameOf(last)
      for (const event of walk()) {
        const follows = event.sequence === last.sequence + 1 && event.hash.equals(computeHash(last.hash, event))
        if (!follows) return { events, last, hasHead, broken: event.sequence }
        last = event
        events++
        hasHead ||= head === nameOf(last)
      }
      return { events, last, hasHead }
    },

    /** Forgets the events from before a time, a thousand in each transaction; the anchor takes the place of the last of them. */
    async prune (before: number) {
      while (await write(() => pruneSome(before)) > 0);
    }
  }
}

function nameOf ({ sequence, hash }: { sequence: number, hash: Buffer }): string {
  return `${sequence}:${hash.toString('hex')}`
}
