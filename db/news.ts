import type { Revocation, StoredKey } from './schema/index.ts'

/** Told of what every check of a token must know. */
export interface NewsFollower {
  /** Revocations by whichever process, in the order of their sequence, each once. */
  revoked?: (revocations: Revocation[]) => void
  /** All signing keys, when they may have changed. */
  keysChanged?: (keys: StoredKey[]) => void
}

/** Revocations and changes of keys, by this process and by all others. */
export interface News {
  /** Begins to tell of what comes after the revocation `after`. Nothing is told before somebody began. */
  begin: (after: number) => Promise<void>
  follow: (follower: NewsFollower) => void
  /**
   * Another number whenever revocations were told. Undefined while what was told may be too old to say that a token is good: then
   * `freshen` first.
   */
  revision: () => number | undefined
  /**
   * Resolves when all that was committed before the call has been told.
   * @throws `database_unavailable` when the database does not answer in time
   */
  freshen: () => Promise<void>
}
