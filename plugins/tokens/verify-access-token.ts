import { ACCESS_TOKEN_TYPE, areComplete, isCanonical } from './claims.ts'
import { createTokenCache } from './token-cache.ts'
import type { FastifyInstance } from 'fastify'
import type { AccessTokenClaims, ExtraClaim } from './claims.ts'
import type { SignatureFault } from './signatures.ts'
import type { VerifiedToken } from './token-cache.ts'

const CLOCK_SKEW_SECONDS = 60

/** A token is good though the clock was set back so far since it was issued. It expires when it says all the same. */
const MOST_SET_BACK_SECONDS = 600

/** The rule that refuses an access token. For operators: callers see only the code. */
export type RefusalReason =
  | SignatureFault | 'wrong_issuer' | 'wrong_audience' | 'not_yet_valid' | 'expired'
  | 'session_over' | 'token_revoked' | 'key_revoked'

/** Why a token is refused; its claims, if the signature is ours. */
export interface Refusal { reason: RefusalReason, claims?: AccessTokenClaims }

/** Builds `accessTokens.verify`: cache or signature, type, issuer, audience, claims, expiry, blocklist. */
export function createVerify (
  fastify: FastifyInstance,
  extraClaims: ReadonlyMap<string, ExtraClaim>,
  onFirstUse: (claims: AccessTokenClaims) => void
) {
  const { blocklist, config: { audience, issuer, sessionMaxAgeSeconds }, now, problem, refreshTokens, signatures } = fastify
  const { open } = signatures(ACCESS_TOKEN_TYPE)
  const cache = createTokenCache()

  function refuse (code: 'invalid_token' | 'wrong_token_type' | 'token_expired' | 'token_revoked', refusal: Refusal): Error {
    return problem(code, { refusal })
  }

  /** Checks all but what may change: that is checked at every use. */
  async function checkSignature (token: string): Promise<VerifiedToken> {
    if (refreshTokens.has(token)) throw refuse('wrong_token_type', { reason: 'wrong_type' })
    const opened = await open(token)
    if ('fault' in opened) throw refuse(opened.fault === 'wrong_type' ? 'wrong_token_type' : 'invalid_token', { reason: opened.fault })
    const { claims, kid } = opened
    if (!isAsIssued(claims, token)) throw refuse('invalid_token', { reason: 'not_as_issued' })
    const fault = faultOf(claims)
    if (fault) throw refuse('invalid_token', { reason: fault, claims })
    Object.freeze(claims.roles)
    return { claims: Object.freeze(claims), kid }
  }

  function isAsIssued (claims: unknown, token: string): claims is AccessTokenClaims {
    return areComplete(claims) && isCanonical(claims, token) && [...extraClaims].every(([name, { isValid }]) => isValid(claims[name]))
  }

  /** A token was issued by us, for us, and for no longer than the longest session. */
  function faultOf ({ iss, aud, iat, exp }: AccessTokenClaims): RefusalReason | undefined {
    if (iss !== issuer) return 'wrong_issuer'
    if (aud !== audience) return 'wrong_audience'
    if (exp - iat > sessionMaxAgeSeconds + CLOCK_SKEW_SECONDS) return 'not_as_issued'
  }

  async function verifyNew (token: string): Promise<AccessTokenClaims> {
    const verified = await checkSignature(token)
    const claims = await checkStillGood(verified)
    cache.set(token, verified)
    onFirstUse(claims)
    return claims
  }

  /** Checks what may have changed since the signature was checked: at once, unless the database must be asked first. */
  function checkStillGood (verified: VerifiedToken): AccessTokenClaims | Promise<AccessTokenClaims> {
    const { claims } = verified
    const time = now() / 1000
    if (claims.exp <= time) throw refuse('token_expired', { reason: 'expired', claims })
    if (claims.iat > time + MOST_SET_BACK_SECONDS) throw refuse('invalid_token', { reason: 'not_yet_valid', claims })
    const revision = blocklist.revision()
    return revision === undefined ? freshenAndCheck(verified) : checkUnrevoked(verified, revision)
  }

  async function freshenAndCheck (verified: VerifiedToken): Promise<AccessTokenClaims> {
    await blocklist.freshen()
    const revision = blocklist.revision()
    if (revision === undefined) throw problem('database_unavailable') // it answered, and was late
    return checkUnrevoked(verified, revision)
  }

  function checkUnrevoked (verified: VerifiedToken, revision: number): AccessTokenClaims {
    const { claims, kid, unrevokedAt } = verified
    if (unrevokedAt === revision) return claims
    const reason = revocationOf(claims, kid)
    if (reason) throw refuse('token_revoked', { reason, claims })
    verified.unrevokedAt = revision
    return claims
  }

  function revocationOf ({ jti, sid }: AccessTokenClaims, kid: string): RefusalReason | undefined {
    if (blocklist.has(jti)) return 'token_revoked'
    if (blocklist.has(kid)) return 'key_revoked'
    if (blocklist.has(sid)) return 'session_over'
  }

  return (token: string): AccessTokenClaims | Promise<AccessTokenClaims> => {
    const known = cache.get(token)
    return known ? checkStillGood(known) : verifyNew(token)
  }
}
