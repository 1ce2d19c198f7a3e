import { hash } from 'node:crypto'
import { desc, eq, getTableColumns, or, sql } from './drizzle.ts'
import { withCode } from './constraint-names.ts'
import { placeholdersOf } from './placeholders.ts'
import { clients, auditAnchor, auditEvents, revocations } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { AuditEvent, NewAuditEvent } from './schema/index.ts'
import type { Write } from './writer.ts'

/** The audit entry of an operation, written in the operation's own transaction. */
export interface AuditEntry<Outcome> {
  /** The event, given the outcome of the operation; undefined when nothing happened. */
  toEvent: (outcome: Outcome) => NewAuditEvent | undefined
  /** False for an event that is only logged. */
  isStored: (event: NewAuditEvent) => boolean
  /** The access token or API client that asks: what was revoked meanwhile writes nothing. */
  permit?: Permit
  /** Called when the operation, with its event, is on disk. */
  committed: (event: NewAuditEvent) => void
}

export type Permit = { sid: string, jti: string } | { clientId: string }

/**
 * Runs an operation, as `Write` does, together with the event that its entry makes of the outcome: both or neither.
 * @throws `token_revoked` or `invalid_client` when the caller's permit was taken away before
 */
export type AuditedWrite = <Outcome>(run: () => Outcome, entry?: AuditEntry<Outcome>) => Promise<Outcome>

export function withAudit (connection: Connection, write: Write): AuditedWrite {
  const append = eventInsert(connection)
  const assertPermitted = permitCheck(connection)

  return async (run, entry) => {
    if (!entry) return write(run)
    let event: NewAuditEvent | undefined
    const outcome = await write(() => {
      if (entry.permit) assertPermitted(entry.permit)
      const outcome = run()
      event = entry.toEvent(outcome)
      if (event && entry.isStored(event)) append(event)
      return outcome
    })
    if (event) entry.committed(event)
    return outcome
  }
}

/** A guard looked at the permit when the request began: this looks again when the write happens, inside the operation. */
function permitCheck (connection: Connection) {
  const id = sql.placeholder('id')
  const revoked = connection.select({ id: revocations.revokedId }).from(revocations)
    .where(or(eq(revocations.revokedId, sql.placeholder('sid')), eq(revocations.revokedId, sql.placeholder('jti')))).prepare()
  const client = connection.select({ id: clients.id }).from(clients).where(eq(clients.id, id)).prepare()

  return (permit: Permit) => {
    if ('clientId' in permit) {
      if (!client.get({ id: permit.clientId })) throw withCode('invalid_client')
    } else if (revoked.get(permit)) throw withCode('token_revoked')
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
