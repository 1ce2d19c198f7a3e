import { hash } from 'node:crypto'
import { desc, getTableColumns } from './drizzle.ts'
import { execute, queryOne } from './engine.ts'
import { placeholdersOf } from './placeholders.ts'
import type { Operation } from './engine.ts'
import type { AuditEvent, NewAuditEvent } from './schema/index.ts'
import type { Dialect } from './store.ts'

/**
 * Writes events after the last one, inside an operation that nobody else's can come between: SQLite's hold the write lock,
 * PostgreSQL's a lock of their own.
 */
export function auditChain ({ build, compile, tables: { auditAnchor, auditEvents } }: Dialect) {
  const { sequence, hash } = auditEvents
  const last = compile(build.select({ sequence, hash }).from(auditEvents).orderBy(desc(sequence)).limit(1))
  const anchor = compile(build.select({ sequence: auditAnchor.sequence, hash: auditAnchor.hash }).from(auditAnchor))
  const insert = compile(build.insert(auditEvents).values(placeholdersOf(auditEvents)))
  const absent = Object.fromEntries(Object.keys(getTableColumns(auditEvents)).map((name) => [name, null]))

  return function * (events: NewAuditEvent[]): Operation<void> {
    let previous = (yield * queryOne(last, {})) ?? (yield * queryOne(anchor, {}))! // the migration made it, and a trigger keeps it
    for (const event of events) {
      const next = { ...event, sequence: previous.sequence + 1 }
      const following = { sequence: next.sequence, hash: digest(previous.hash, toMembers(next)) }
      yield * execute(insert, { ...absent, ...next, ...following })
      previous = following
    }
  }
}

/** Computes the hash of an event that follows the one whose hash is `previous`. */
export function computeHash (previous: Buffer, event: Omit<AuditEvent, 'hash'>): Buffer {
  return digest(previous, toMembers(event))
}

type Member = string | number | null

/** The columns before `details` and the hash, in their order. */
const COLUMNS = [
  'sequence', 'at', 'event', 'outcome', 'actorKind', 'actorId',
  'subject', 'session', 'target', 'ip', 'userAgent', 'requestId'
] as const

/** Half of a surrogate pair is hashed as it is stored: as the character that stands for what is none. */
function toMembers (event: NewAuditEvent & { sequence: number }): Member[] {
  const members = COLUMNS.map((name) => {
    const member = event[name] ?? null
    return typeof member === 'string' ? member.toWellFormed() : member
  })
  return [...members, event.details ? JSON.stringify(event.details) : null]
}

/** SHA-256 over a JSON array: the hash before in hexadecimal, then the members. */
function digest (previous: Buffer, members: Member[]): Buffer {
  return hash('sha256', JSON.stringify([previous.toString('hex'), ...members]), 'buffer')
}
