import { hash } from 'node:crypto'
import { desc, getTableColumns } from './drizzle.ts'
import { placeholdersOf } from './placeholders.ts'
import { auditAnchor, auditEvents } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { AuditEvent, NewAuditEvent } from './schema/index.ts'
import type { Write } from './writer.ts'

/** The audit entry of an operation, written in the operation's own transaction. */
export interface AuditEntry<Outcome> {
  /** The event, given the outcome of the operation; undefined when nothing happened. */
  toEvent: (outcome: Outcome) => NewAuditEvent | undefined
  /** False for an event that is only logged. */
  isStored: (event: NewAuditEvent) => boolean
  /** Called when the operation, with its event, is on disk. */
  committed: (event: NewAuditEvent) => void
}

/** Runs an operation, as `Write` does, together with the event that its entry makes of the outcome: both or neither. */
export type AuditedWrite = <Outcome>(run: () => Outcome, entry?: AuditEntry<Outcome>) => Promise<Outcome>

export function withAudit (connection: Connection, write: Write): AuditedWrite {
  const append = eventInsert(connection)

  return async (run, entry) => {
    if (!entry) return write(run)
    let event: NewAuditEvent | undefined
    const outcome = await write(() => {
      const outcome = run()
      event = entry.toEvent(outcome)
      if (event && entry.isStored(event)) append(event)
      return outcome
    })
    if (event) entry.committed(event)
    return outcome
  }
}

/**
 * Writes an event after the last one, inside an operation: the write lock is held, so no process can come between
 * reading the last hash and writing the next.
 */
function eventInsert (connection: Connection) {
  const { sequence, hash } = auditEvents
  const last = connection.select({ sequence, hash }).from(auditEvents).orderBy(desc(sequence)).limit(1).prepare()
  const anchor = connection.select({ sequence: auditAnchor.sequence, hash: auditAnchor.hash }).from(auditAnchor).prepare()
  const insert = connection.insert(auditEvents).values(placeholdersOf(auditEvents)).prepare()
  const absent = Object.fromEntries(Object.keys(getTableColumns(auditEvents)).map((name) => [name, null]))

  return (event: NewAuditEvent) => {
    const previous = last.get() ?? anchor.get()! // the migration made it, and a trigger keeps it
    const next = { ...event, sequence: previous.sequence + 1 }
    insert.run({ ...absent, ...next, hash: digest(previous.hash, toMembers(next)) })
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

function toMembers (event: NewAuditEvent & { sequence: number }): Member[] {
  const members = COLUMNS.map((name) => event[name] ?? null)
  return [...members, event.details ? JSON.stringify(event.details) : null]
}

/** SHA-256 over a JSON array: the hash before in hexadecimal, then the members. */
function digest (previous: Buffer, members: Member[]): Buffer {
  return hash('sha256', JSON.stringify([previous.toString('hex'), ...members]), 'buffer')
}
