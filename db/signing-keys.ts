import { asc, eq, gt, isNull, lte, or, sql } from './drizzle.ts'
import { blocking } from './ending.ts'
import { signingKeys } from './schema.ts'
import type { Note, NotedWrite } from './audit-chain.ts'
import type { Connection } from './index.ts'

export type StoredKey = typeof signingKeys.$inferSelect
export type NewKey = Omit<StoredKey, 'retiresAt'>

/** The one of `keys` that signs at a time; the first, if the clock was set back to before it. There is one at least. */
function signingAt<Key extends { signsFrom: number }> (time: number, keys: readonly Key[]): Key {
  return keys.findLast(({ signsFrom }) => signsFrom <= time) ?? keys[0]!
}

export function signingKeysRepository (connection: Connection, write: NotedWrite) {
  const block = blocking(connection)
  const all = connection.select().from(signingKeys).orderBy(asc(signingKeys.signsFrom), sql`rowid`).prepare()
  const deleteRetired = connection.delete(signingKeys).where(lte(signingKeys.retiresAt, sql.placeholder('now'))).prepare()

  function change (kid: string, values: Partial<Pick<StoredKey, 'signsFrom' | 'retiresAt'>>) {
    connection.update(signingKeys).set(values).where(eq(signingKeys.kid, kid)).run()
  }

  return {
    signingAt,

    /** Every key, in the order in which they sign. Synchronous, as `revocations.since` is and for the same reason. */
    list: (): StoredKey[] => all.all(),

    /**
     * Adds a key that signs from `key.signsFrom` on, in place of any that was to sign later; the keys before it retire
     * `tokenLifetime` milliseconds after that. Only if `lastKid` is still the last key, so that two processes
     * do not both add one; gives whether it did.
     */
    add: (key: NewKey, lastKid: string | undefined, tokenLifetime: number, note?: Note<boolean>) => write(() => {
      if (all.all().at(-1)?.kid !== lastKid) return false
      const retiresAt = key.signsFrom + tokenLifetime
      connection.delete(signingKeys).where(gt(signingKeys.signsFrom, key.signsFrom)).run()
      connection.update(signingKeys).set({ retiresAt }).where(or(isNull(signingKeys.retiresAt), gt(signingKeys.retiresAt, retiresAt))).run()
      connection.insert(signingKeys).values(key).run()
      return true
    }, note),

    /**
     * Ends a leaked key: its tokens are refused at once, and its id is blocked until `until`. If it was the one that signs,
     * the next one does from `now` on, or else `successor`. Gives whether there was such a key.
     */
    burn: (kid: string, successor: NewKey, until: number, now: number, note?: Note<boolean>) => write(() => {
      const keys = all.all()
      const burnt = keys.find((key) => key.kid === kid)
      if (!burnt) return false

      const signing = signingAt(now, keys)
      const next = keys[keys.indexOf(signing) + 1]
      connection.delete(signingKeys).where(eq(signingKeys.kid, kid)).run()
      block('kid', kid, until)

      if (burnt === signing && next) change(next.kid, { signsFrom: now })
      else if (burnt === signing) connection.insert(signingKeys).values(successor).run()
      else if (burnt.signsFrom > now) change(keys[keys.indexOf(burnt) - 1]!.kid, { retiresAt: burnt.retiresAt }) // the one before it goes on in its place
      return true
    }, note),

    /** Forgets the keys of which every token has expired; gives back how many. */
    prune: (now: number) => write(() => deleteRetired.run({ now }).changes)
  }
}
