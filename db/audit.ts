import { and, asc, desc, eq, gt, gte, lt, sql } from './drizzle.ts'
import { auditCauses } from './audit-causes.ts'
import { computeHash } from './audit-chain.ts'
import { auditPruning } from './audit-pruning.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { AuditEvent } from './schema/index.ts'
import type { Store } from './store.ts'

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

export function auditRepository (store: Store, write: AuditedWrite) {
  const { build, chainEvents, compile, read, tables: { auditAnchor, auditEvents } } = store
  const { sequence } = auditEvents
  const notRefreshed = sql`event <> 'refreshed'` // as the indexes say it
  const timeFrom = compile(build.select({ at: auditEvents.at }).from(auditEvents)
    .where(gte(sequence, sql.placeholder('sequence'))).orderBy(asc(sequence)).limit(1))
  const newest = compile(build.select({ sequence, hash: auditEvents.hash }).from(auditEvents).orderBy(desc(sequence)).limit(1))
  const anchor = compile(build.select({ sequence: auditAnchor.sequence, hash: auditAnchor.hash }).from(auditAnchor))
  const page = compile(build.select().from(auditEvents)
    .where(gt(sequence, sql.placeholder('after'))).orderBy(asc(sequence)).limit(PAGE_SIZE))

  const first = async () => (await read(anchor, {}))[0]! // the migration made it, and a trigger keeps it
  const last = async () => (await read(newest, {}))[0] ?? first()

  /** The last event before a time; times grow with the log, save where a clock was set back. */
  async function lastBefore (time: number): Promise<number> {
    let [{ sequence: low }, { sequence: high }] = [await first(), await last()]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const [event] = await read(timeFrom, { sequence: middle })
      if (event!.at < time) low = middle // there is one, for the last is not before the middle
      else high = middle - 1
    }
    return low
  }

  async function * walk (): AsyncGenerator<AuditEvent> {
    await chainEvents()
    let events = await read(page, { after: (await first()).sequence })
    while (events.length > 0) {
      yield * events
      events = await read(page, { after: events.at(-1)!.sequence })
    }
  }

  return {
    /** Writes an event that is an operation of its own. */
    add: (entry: AuditEntry<void>) => write(function * () {}, entry),

    /**
     * Events, the newest first. Where no index leads to them a page looks at no more than a part of the log, and may hold
     * fewer than `limit`.
     */
    async list ({ limit, before, since, subject, event, requestId }: AuditQuery): Promise<AuditPage> {
      await chainEvents()
      const end = before ?? (await last()).sequence + 1
      const isIndexed = (subject ?? requestId) !== undefined && event !== 'refreshed'
      const floor = since === undefined ? (await first()).sequence : await lastBefore(since)
      const low = isIndexed ? floor : Math.max(floor, end - 1 - WINDOW)
      const found = await read(compile(build.select().from(auditEvents).where(and(
        lt(sequence, end),
        gt(sequence, low),
        isIndexed ? notRefreshed : undefined,
        subject === undefined ? undefined : eq(auditEvents.subject, subject),
        requestId === undefined ? undefined : eq(auditEvents.requestId, requestId),
        event === undefined ? undefined : eq(auditEvents.event, event)
      )).orderBy(desc(sequence)).limit(limit + 1)), {})

      const events = found.slice(0, limit)
      if (found.length > limit) return { events, next: events.at(-1)!.sequence } // limit is one at least
      return { events, ...low > floor && { next: low + 1 } }
    },

    ...auditCauses(store),

    /** Every event, oldest first, a page at a time. */
    walk,

    /** Computes every hash again. */
    async verify (head?: string): Promise<Verification> {
      let last = await first()
      let events = 0
      let hasHead = head === undefined || head === nameOf(last)
      for await (const event of walk()) {
        const follows = event.sequence === last.sequence + 1 && event.hash.equals(computeHash(last.hash, event))
        if (!follows) return { events, last, hasHead, broken: event.sequence }
        last = event
        events++
        hasHead ||= head === nameOf(last)
      }
      return { events, last, hasHead }
    },

    ...auditPruning(store, write)
  }
}

function nameOf ({ sequence, hash }: { sequence: number, hash: Buffer }): string {
  return `${sequence}:${hash.toString('hex')}`
}
