import type { Session, StatusEntry } from '../core/database.ts'

export const ACCESS_TOKEN_TYPE = 'at+jwt'

/** The claims of an access token (RFC 9068, section 2.2). Times in seconds. */
export interface AccessTokenClaims {
  iss: string
  aud: string
  sub: string
  client_id: string
  iat: number
  exp: number
  jti: string
  /** The session. */
  sid: string
  roles: string[]
  auth_time: number
  /** Claims of features (`accessTokens.addClaim`). */
  [claim: string]: unknown
}

/** A claim that a feature adds to every token. */
export interface ExtraClaim {
  valueOf: (session: Session) => unknown
  isValid: (value: unknown) => boolean
  /** The place of a token with this value in a status list, which is written when the token is revoked. */
  placeOf?: (value: unknown, exp: number) => StatusEntry
}

/** Checks that claims which carry our signature are all that they should be. */
export function areComplete (claims: unknown): claims is AccessTokenClaims {
  const members = Object(claims) as Record<string, unknown> // what is no object has none of them
  const { sub, client_id: clientId, jti, sid, iat, exp, auth_time: authTime, nbf, roles } = members
  return [sub, clientId, jti, sid].every((value) => typeof value === 'string' && value !== '') &&
    [iat, exp, authTime].every(Number.isSafeInteger) && nbf === undefined &&
    Array.isArray(roles) && roles.every((role) => typeof role === 'string')
}

/**
 * Checks that a payload is written in the one way in which we write it. A name that stands there twice would say one
 * thing to us, and another to somebody else.
 */
export function isCanonical (claims: AccessTokenClaims, token: string): boolean {
  return token.split('.')[1] === Buffer.from(JSON.stringify(claims)).toString('base64url')
}
