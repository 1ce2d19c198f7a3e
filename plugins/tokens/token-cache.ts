import { LruMap } from 'toad-cache'
import type { AccessTokenClaims } from './claims.ts'

const MOST_REMEMBERED = 16_384

/** A token whose signature was checked. */
export interface VerifiedToken {
  claims: AccessTokenClaims
  kid: string
  /** The revision of the blocklist at which the token was not on it. */
  unrevokedAt?: number
}

/**
 * Remembers verified tokens by their whole text, because another spelling of one is another token. Keep only what was
 * verified: then nobody without a key of ours can evict it.
 */
export function createTokenCache () {
  return new LruMap<VerifiedToken>(MOST_REMEMBERED)
}
