import { asc, eq, gt, isNull, lte, or, sql } from './drizzle.ts'
import { change, execute, query } from './engine.ts'
import { revocationInsert } from './end-sessions.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { Operation } from './engine.ts'
import type { NewKey, StoredKey } from './schema/index.ts'
import type { Dialect, Store } from './store.ts'

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

/** Every key, in the order in which they sign. */
export function signingKeyList ({ build, compile, tables: { signingKeys } }: Dialect) {
  return compile(build.select().from(signingKeys).orderBy(asc(signingKeys.signsFrom), asc(signingKeys.createdAt)))
}

export function signingKeysRepository (store: Store, write: AuditedWrite) {
  const { build, lockHead, read, tables: { signingKeys } } = store
  const block = revocationInsert(store)
  const all = signingKeyList(store)
  const changesKeys = true
  const deleteRetired = store.compile(build.delete(signingKeys).where(lte(signingKeys.retiresAt, sql.placeholder('now'))), { changesKeys })
  const removeOne = store.compile(build.delete(signingKeys).where(eq(signingKeys.kid, sql.placeholder('kid'))), { changesKeys })

  /** All keys, which nobody else changes before this operation is done. */
  function * lockAll (): Operation<StoredKey[]> {
    yield * lockHead('keys')
    return yield * query(all, {})
  }

  function set (kid: string, values: Partial<Pick<StoredKey, 'signsFrom' | 'retiresAt'>>): Operation<void> {
    return execute(store.compile(build.update(signingKeys).set(values).where(eq(signingKeys.kid, kid)), { changesKeys }), {})
  }

  function insert (key: NewKey): Operation<void> {
    return execute(store.compile(build.insert(signingKeys).values(key), { changesKeys }), {})
  }

  return {
    /** Every key, in the order in which they sign. */
    list: (): Promise<StoredKey[]> => read(all, {}),

    /**
     * Adds a key that signs from `key.signsFrom` on, in place of any that was to sign later; all of them retire at
     * `retiresAt`, when the last of their tokens has expired. Only if `lastKid` is still the last key, so that two processes
     * do not both add one. Gives false when it is not.
     */
    add: (key: NewKey, lastKid: string | undefined, retiresAt: number, entry?: AuditEntry<boolean>) => write(function * () {
      const keys = yield * lockAll()
      if (keys.at(-1)?.kid !== lastKid) return false
      const { signsFrom } = key
      const isLater = gt(signingKeys.signsFrom, signsFrom)
      const retiresLater = or(isNull(signingKeys.retiresAt), gt(signingKeys.retiresAt, retiresAt))
      yield * execute(store.compile(build.update(signingKeys).set({ signsFrom }).where(isLater), { changesKeys }), {})
      yield * execute(store.compile(build.update(signingKeys).set({ retiresAt }).where(retiresLater), { changesKeys }), {})
      const newest = Math.max(...keys.map(({ createdAt }) => createdAt))
      yield * insert({ ...key, createdAt: Math.max(key.createdAt, newest + 1) }) // of two that sign from one moment it is the later
      return true
    }, entry),

    /** Puts off the retirement of keys that still sign until their last token has expired, when tokens live longer than before. */
    postponeRetirement: (tokenLifetime: number, now: number) => write(function * () {
      const keys = yield * lockAll()
      for (const [i, { kid, retiresAt }] of keys.entries()) {
        const end = keys[i + 1]?.signsFrom ?? 0
        if (end > now && retiresAt !== null && retiresAt < end + tokenLifetime) yield * set(kid, { retiresAt: end + tokenLifetime })
      }
    }),

    /**
     * Revokes a leaked key: its tokens are refused at once, and its id is blocked. If it was the one that signs, the next one
     * signs from now on, or else the successor. Gives false when there is no such key.
     */
    revoke: (kid: string, { successor, until, now, signingAt }: KeyRevocation, entry?: AuditEntry<boolean>) => write(function * () {
      const keys = yield * lockAll()
      const revoked = keys.find((key) => key.kid === kid)
      if (!revoked) return false

      const signing = signingAt(now, keys)
      const next = keys[keys.indexOf(signing) + 1]
      const previous = keys[keys.indexOf(revoked) - 1]
      yield * execute(removeOne, { kid })

      if (revoked === signing && next) yield * set(next.kid, { signsFrom: now })
      else if (revoked === signing) yield * insert(successor)
      else if (revoked.signsFrom > now) yield * set(previous!.kid, { retiresAt: revoked.retiresAt }) // it signs in place of the revoked key
      yield * block('kid', kid, until)
      return true
    }, entry),

    /** Forgets the keys of which every token has expired, and gives their number. */
    prune: (now: number) => write(() => change(deleteRetired, { now }))
  }
}
