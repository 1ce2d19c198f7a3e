import { LruMap } from 'toad-cache'
import type { AccessTokenClaims } from './claims.ts'
import type { Config } from '../core/config/index.ts'

const MOST_REMEMBERED = 16_384
const SECOND = 1000

/**
 * Remembers which young access tokens were seen in use, for as long as the grace of their refresh lasts. A process does not
 * know what others see: where there are several, every token counts as used.
 */
export function createUses ({ refreshGraceSeconds }: Config, isAlone: boolean, now: () => number) {
  const seen = new LruMap<true>(MOST_REMEMBERED)

  return {
    record ({ jti, iat }: AccessTokenClaims) {
      if (now() <= (iat + 1 + refreshGraceSeconds) * SECOND) seen.set(jti, true) // `iat` is rounded down
    },
    add: (jti: string) => { seen.set(jti, true) },
    has: (jti: string): boolean => !isAlone || seen.get(jti) === true
  }
}
