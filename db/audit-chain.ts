import { hash } from 'node:crypto'
import { desc, getTableColumns, sql } from './drizzle.ts'
import { auditAnchor, auditEvents } from './schema.ts'
import type { Connection } from './index.ts'
import type { Write } from './writer.ts'

export type AuditEvent = typeof auditEvents.$inferSelect
export type NewAuditEvent = Omit<typeof auditEvents.$inferInsert, 'sequence' | 'hash'>

/** What is told of a deed, in the deed's own transaction. */
export interface Note<T> {
  /** The event, given the outcome of the deed; undefined when nothing happened. */
  of: (outcome: T) => NewAuditEvent | undefined
  /** Whether the event is to be kept, or only told of. */
  keeps: (event: NewAuditEvent) => boolean
  /** Is called when the deed, and the event if it is kept, is on disk. */
  committed: (event: NewAuditEvent) => void
}

/** Runs what writes, as `Write` does, and with it, both or neither, writes the event that a note makes of its outcome. */
export type NotedWrite = <T>(run: () => T, note?: Note<T>) => Promise<T>

export function noting (connection: Connection, write: Write): NotedWrite {
  const append = appending(connection)

  return async (run, note) => {
    if (!note) return write(run)
    let event: NewAuditEvent | undefined
    const outcome = await write(() => {
      const outcome = run()
      event = note.of(outcome)
      if (event && note.keeps(event)) append(event)
      return outcome
    })
    if (event) note.committed(event)
    return outcome
  }
}

/**
 * Writes an event after the last one, inside a deed: the write lock is held, so no process can come between reading
 * the last hash and writing the next.
 */
function appending (connection: Connection) {
  const { sequence, hash } = auditEvents
  const last = connection.select({ sequence, hash }).from(auditEvents).orderBy(desc(sequence)).limit(1).prepare()
  const anchor = connection.select({ sequence: auditAnchor.sequence, hash: auditAnchor.hash }).from(auditAnchor).prepare()
  const columns = Object.keys(getTableColumns(auditEvents))
  const values = Object.fromEntries(columns.map((name) => [name, sql.placeholder(name)])) as Record<keyof AuditEvent, ReturnType<typeof sql.placeholder>> // an event is these columns
  const insert = connection.insert(auditEvents).values(values).prepare()
  const absent = Object.fromEntries(columns.map((name) => [name, null]))

  return (event: NewAuditEvent) => {
    const previous = last.get() ?? anchor.get()! // the migration made it, and a trigger keeps it
    const next = { ...event, sequence: previous.sequence + 1 }
    insert.run({ ...absent, ...next, hash: digest(previous.hash, membersOf(next)) })
  }
}

/** The hash that an event has after the one whose hash is `previous`. */
export function chained (previous: Buffer, event: Omit<AuditEvent, 'hash'>): Buffer {
  return digest(previous, membersOf(event))
}

type Member = string | number | null

/** The columns before the hash, in their order. */
function membersOf ({ sequence, at, event, outcome, actorKind, actorId, subject, session, target, ip, userAgent, requestId, details }: NewAuditEvent & { sequence: number }): Member[] {
  const text = details ? JSON.stringify(details) : null
  return [sequence, at, event, outcome, actorKind, ...[actorId, subject, session, target, ip, userAgent, requestId].map((value) => value ?? null), text]
}

/** SHA-256 over a JSON array: the hash before in hexadecimal, then the members. */
function digest (previous: Buffer, members: Member[]): Buffer {
  return hash('sha256', JSON.stringify([previous.toString('hex'), ...members]), 'buffer')
}
