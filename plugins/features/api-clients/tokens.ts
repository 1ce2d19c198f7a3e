import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { Refusal, RefusalReason } from '../../tokens/verify-access-token.ts'

const BY_THE_CLOCK: RefusalReason[] = ['expired', 'not_yet_valid']

/** Builds the functions of `apiClients` that work on tokens of either kind. */
export function tokenOperations ({ accessTokens, config, sessions }: FastifyInstance) {
  /** The answer of RFC 7662, section 2.2. */
  async function introspect (token: string) {
    const claims = await accessTokens.read(token)
    if (claims) return { active: true, token_type: 'Bearer', ...claims }

    const session = await sessions.find(token)
    if (!session) return { active: false }
    const { userId: sub, id: sid } = session
    const [iat, exp] = [session.lastUsedAt, session.expiresAt].map((time) => Math.floor(time / 1000))
    return { active: true, token_type: 'refresh_token', iss: config.issuer, client_id: config.clientId, sub, sid, iat, exp }
  }

  /** The claims of an access token that is good, or would be if the clock said another time: it may be wrong. */
  async function readRevocable (token: string): Promise<AccessTokenClaims | undefined> {
    try {
      return await accessTokens.verify(token)
    } catch (error) {
      const { refusal } = error as { refusal?: Refusal } // of what refuses a token
      if (!refusal) throw error
      return BY_THE_CLOCK.includes(refusal.reason) ? refusal.claims : undefined
    }
  }

  /** RFC 7009: revokes an access token, or the session of a refresh token. Does nothing for any other text. */
  async function revoke (token: string, request: FastifyRequest) {
    const claims = await readRevocable(token)
    if (claims) await accessTokens.revoke(claims, request)
    else await sessions.revoke(token, request)
  }

  return { introspect, revoke }
}
