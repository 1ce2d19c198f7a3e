import { toColumns } from '../../../plugins/accounts/canonical-names.ts'
import type { Database } from '../../../db/index.ts'
import type { AuditEvent, NewAuditEvent, NewSession, StoredKey } from '../../../db/schema/index.ts'
import type { NewUser } from '../../../db/user-rows.ts'
import type { Names } from '../../../plugins/accounts/canonical-names.ts'

/** An account whose name is its id, unless it gets others. */
export function newUser (id: string, names: Names = { username: id }, changes: Partial<NewUser> = {}): NewUser {
  return { id, passwordHash: `hash of ${id}`, roles: [], createdAt: 0, ...toColumns(names), ...changes }
}

/** A session that begins at 0 and is good until 2000; its access token expires at 1000. */
export function newSession (id: string, userId: string, changes: Partial<NewSession> = {}): NewSession {
  const times = { createdAt: 0, lastUsedAt: 0, expiresAt: 2000, accessExpiresAt: 1000 }
  return { id, userId, generation: 0, ...times, ip: '', userAgent: null, roles: [], ...changes }
}

/** The entry of an event of a time. */
export function newEntry (at: number, changes: Partial<NewAuditEvent> = {}) {
  const event: NewAuditEvent = { at, event: 'signed_in', outcome: 'done', actorKind: 'user', ...changes }
  return { toEvent: (): NewAuditEvent | undefined => event, isStored: () => true, committed () {} }
}

/** The rules of a rotation at a time: tokens as in `newSession`, a grace of 100, always from the same place. */
export function rotationAt (now: number, changes = {}) {
  return {
    now,
    timesOf: () => ({ lastUsedAt: now, expiresAt: now + 2000, accessExpiresAt: now + 1000 }),
    grace: 100,
    mostLiveTokens: 10,
    place: { ip: '', userAgent: null },
    isSamePlace: () => true,
    isInUse: () => false,
    ...changes
  }
}

/** So many operations at once wait for no engine for long. */
const AT_ONCE = 25

/** Runs something that often, some at once, and gives what each run gave. */
export async function inBatches<T> (count: number, run: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let i = 0; i < count; i += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - i)
    results.push(...await Promise.all(Array.from({ length: size }, (_, j) => run(i + j))))
  }
  return results
}

/** Every event of the audit log, in its order. */
export async function allEvents ({ audit }: Pick<Database, 'audit'>): Promise<AuditEvent[]> {
  const events = []
  for await (const event of audit.walk()) events.push(event)
  return events
}

/** All that was revoked, in its order. */
export async function revokedIds ({ revocations }: Pick<Database, 'revocations'>): Promise<string[]> {
  return (await revocations.since(0)).map(({ revokedId }) => revokedId)
}

/** A signing key. */
export function newKey (kid: string, signsFrom: number) {
  return { kid, signsFrom, algorithm: 'ES256', createdAt: 0, publicKey: 'public', privateKey: Buffer.from('sealed') }
}

/** The rule of plugins/tokens/signing-keys.ts. */
export function signingAt (time: number, keys: StoredKey[]): StoredKey {
  return keys.findLast(({ signsFrom }) => signsFrom <= time) ?? keys[0]! // there is one in every test
}
