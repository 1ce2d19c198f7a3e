import type { NewsFollower } from '../news.ts'
import type { Revocation, StoredKey } from '../schema/index.ts'

/** Those who are told of news. */
export function createFollowers () {
  const followers: NewsFollower[] = []
  let tellings = 0

  return {
    add (follower: NewsFollower) { followers.push(follower) },
    /** Grows whenever revocations are told. Their numbers would not do: after a failover others may have the same. */
    tellings: () => tellings,
    tellRevoked (revocations: Revocation[]) {
      if (revocations.length === 0) return
      tellings++
      for (const { revoked } of followers) revoked?.(revocations)
    },
    tellKeys (keys: StoredKey[]) {
      for (const { keysChanged } of followers) keysChanged?.(keys)
    }
  }
}
