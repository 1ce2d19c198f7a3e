import { hash } from 'node:crypto'
import type { Connection } from './index.ts'
import type { auditEvents } from './schema.ts'
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
 * the last hash and writing the next. Without Drizzle, because every refresh pays for it.
 */
function appending ({ $client: client }: Connection) {
  const last = client.prepare<[], [sequence: number, hash: Buffer]>('select sequence, hash from audit_events order by sequence desc limit 1').raw()
  const anchor = client.prepare<[], [sequence: number, hash: Buffer]>('select sequence, hash from audit_anchor').raw()
  const insert = client.prepare(`insert into audit_events
    (sequence, at, event, outcome, actor_kind, actor_id, subject, session, target, ip, user_agent, request_id, details, hash)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)

  return (event: NewAuditEvent) => {
    const [sequence, previous] = last.get() ?? anchor.get()! // the migration made it, and a trigger keeps it
    const members = membersOf({ ...event, sequence: sequence + 1 })
    insert.run(...members, digest(previous, members))
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
