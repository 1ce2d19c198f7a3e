import { eq, or, sql } from './drizzle.ts'
import { queryOne } from './engine.ts'
import { withCode } from './refusals.ts'
import type { Operation } from './engine.ts'
import type { NewAuditEvent } from './schema/index.ts'
import type { Store } from './store.ts'

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
export type AuditedWrite = <Outcome>(operation: () => Operation<Outcome>, entry?: AuditEntry<Outcome>) => Promise<Outcome>

export function withAudit (store: Store): AuditedWrite {
  const { appendEvent, write } = store
  const { assertPermitted, assertStillPermitted } = permitChecks(store)

  return async (operation, entry) => {
    if (!entry) return write(operation)
    let event: NewAuditEvent | undefined
    const outcome = await write(function * () {
      if (entry.permit) yield * assertPermitted(entry.permit)
      const outcome = yield * operation()
      event = entry.toEvent(outcome)
      if (event && entry.isStored(event)) yield * appendEvent(event)
      if (entry.permit) yield * assertStillPermitted(entry.permit)
      return outcome
    })
    if (event) entry.committed(event)
    return outcome
  }
}

/** A guard looked at the permit when the request began: these look again when the write happens, inside the operation. */
function permitChecks ({ build, compile, failIfRevoked, tables: { clients, revocations } }: Store) {
  const isOne = or(eq(revocations.revokedId, sql.placeholder('sid')), eq(revocations.revokedId, sql.placeholder('jti')))
  const revoked = compile(build.select({ id: revocations.revokedId }).from(revocations).where(isOne))
  const client = compile(build.select({ id: clients.id }).from(clients).where(eq(clients.id, sql.placeholder('id'))), { locks: true })

  return {
    * assertPermitted (permit: Permit): Operation<void> {
      if ('clientId' in permit) {
        if (!(yield * queryOne(client, { id: permit.clientId }))) throw withCode('invalid_client')
      } else if (yield * queryOne(revoked, permit)) throw withCode('token_revoked')
    },

    /** On PostgreSQL others write meanwhile: this looks once more, while nobody else can revoke anything before the commit. */
    * assertStillPermitted (permit: Permit): Operation<void> {
      if (!('clientId' in permit)) yield * failIfRevoked(permit.sid, permit.jti)
    }
  }
}
