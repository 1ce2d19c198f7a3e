import { asc, eq, gt, isNull, lte, or, sql } from './drizzle.ts'
import { revocationInsert } from './end-sessions.ts'
import { signingKeys } from './schema/index.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'
import type { NewKey, StoredKey } from './schema/index.ts'

/** The revocation of a key. Times in milliseconds since 1970. */
export interface KeyRevocation {
  /** Signs from now on, if the revoked key signs now and no other is there to follow it. */
  successor: NewKey
  /** Until when the `kid` stays blocked. */
  until: number
  now: number
  /** Finds the key that signs at a time. */
  signingAt: (time: number, keys: StoredKey[]) => StoredKey
}

export function signingKeysRepository (connection: Connection, write: AuditedWrite) {
  const block = revocationInsert(connection)
  const all = connection.select().from(signingKeys).orderBy(asc(signingKeys.signsFrom), sql`rowid`).prepare()
  const deleteRetired = connection.delete(signingKeys).where(lte(signingKeys.retiresAt, sql.placeholder('now'))).prepare()

  function change (kid: string, values: Partial<Pick<StoredKey, 'signsFrom' | 'retiresAt'>>) {
    connection.update(signingKeys).set(values).where(eq(signingKeys.kid, kid)).run()
  }

  return {
    /** Every key, in the order in which they sign. Synchronous, as `revocations.since` is and for the same reason. */
    list: (): StoredKey[] => all.all(),

    /**
     * Adds a key that signs from `key.signsFrom` on, in place of any that was to sign later; all of them retire at
     * `retiresAt`, when the last of their tokens has expired. Only if `lastKid` is still the last key, so that two processes
     * do not both add one. Gives false when it is not.
     */
    add: (key: NewKey, lastKid: string | undefined, retiresAt: number, entry?: AuditEntry<boolean>) => write(() => {
      if (all.all().at(-1)?.kid !== lastKid) return false
      connection.update(signingKeys).set({ signsFrom: key.signsFrom }).where(gt(signingKeys.signsFrom, key.signsFrom)).run()
      connection.update(signingKeys).set({ retiresAt })
        .where(or(isNull(signingKeys.retiresAt), gt(signingKeys.retiresAt, retiresAt))).run()
      connection.insert(signingKeys).values(key).run()
      return true
    }, entry),

    /** Puts off the retirement of keys that still sign until their last token has expired, when tokens live longer than before. */
    postponeRetirement: (tokenLifetime: number, now: number) => write(() => {
      const keys = all.all()
      for (const [i, { kid, retiresAt }] of keys.entries()) {
        const end = keys[i + 1]?.signsFrom ?? 0
        if (end > now && retiresAt !== null && retiresAt < end + tokenLifetime) change(kid, { retiresAt: end + tokenLifetime })
      }
    }),

    /**
     * Revokes a leaked key: its tokens are refused at once, and its id is blocked. If it was the one that signs, the next one
     * signs from now on, or else the successor. Gives false when there is no such key.
     */
    revoke: (kid: string, { successor, until, now, signingAt }: KeyRevocation, entry?: AuditEntry<boolean>) => write(() => {
      const keys = all.all()
      const revoked = keys.find((key) => key.kid === kid)
      if (!revoked) return false

      const signing = signingAt(now, keys)
      const next = keys[keys.indexOf(signing) + 1]
      const previous = keys[keys.indexOf(revoked) - 1]
      connection.delete(signingKeys).where(eq(signingKeys.kid, kid)).run()
      block('kid', kid, until)

      if (revoked === signing && next) change(next.kid, { signsFrom: now })
      else if (revoked === signing) connection.insert(signingKeys).values(successor).run()
      else if (revoked.signsFrom > now) change(previous!.kid, { retiresAt: revoked.retiresAt }) // it signs in place of the revoked key
      return true
    }, entry),

    /** Forgets the keys of which every token has expired, and gives their number. */
    prune: (now: number) => write(() => deleteRetired.run({ now }).changes)
  }
}
