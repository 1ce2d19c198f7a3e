import fp from 'fastify-plugin'
import { causeFinder, toTime } from './causes.ts'
import { explainRefreshToken } from './refresh-token.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Refusal } from '../../tokens/verify-access-token.ts'
import type { Explanation } from './explanation.ts'

declare module 'fastify' {
  interface FastifyInstance { explain: Explain }
}

export interface Explain {
  /**
   * Explains why a token of either kind is refused, or that it is good where `roles` are asked for. It asks the one place
   * that verifies tokens, and decides nothing itself. The token is neither kept nor logged.
   */
  token: (token: string, roles?: string[]) => Promise<Explanation>
}

const SENTENCES: Partial<Record<Refusal['reason'], string>> = {
  malformed: 'This is no token, or only a part of one.',
  wrong_type: 'This is no access token: its header names another type.',
  unknown_key: 'The token names a key that is not one of this service, or no longer.',
  bad_signature: 'The signature is wrong: the token was changed, cut off or forged.',
  not_as_issued: 'The token is not written as this service writes tokens.'
}

const explainPlugin: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, auditLog, blocklist, config: { issuer, audience }, refreshTokens } = fastify
  const { describe, ofSession } = causeFinder(fastify)

  async function explainAccessToken (token: string, roles: string[]): Promise<Explanation> {
    try {
      const claims = await accessTokens.verify(token)
      const missing = roles.filter((role) => !claims.roles.includes(role))
      if (missing.length === 0) return { ...toIds({ claims }), reason: 'good', explanation: 'The token is good.' }
      return { ...toIds({ claims }), reason: 'missing_role', explanation: `The token is good, but lacks the role ${missing.join(', ')}.` }
    } catch (error) {
      const { refusal } = error as { refusal?: Refusal }
      if (!refusal) throw error
      return { ...toIds(refusal), ...await explainRefusal(refusal, kidOf(token)) }
    }
  }

  async function explainRefusal ({ reason, claims }: Refusal, kid: string): Promise<Explanation> {
    const { sub = '', sid = '', jti = '', iat = 0, exp = 0 } = claims ?? {}
    switch (reason) {
      case 'expired': return { reason, explanation: `The token expired at ${toTime(exp * 1000)}.` }
      case 'not_yet_valid': return { reason, explanation: `The token is from the future (${toTime(iat * 1000)}). Compare the clocks.` }
      case 'wrong_issuer': return { reason, explanation: `The token is not from ${issuer}. See ISSUER.` }
      case 'wrong_audience': return { reason, explanation: `The token is not for ${audience}. See AUDIENCE.` }
      case 'token_revoked': return describe(reason, 'The token was revoked', await auditLog.lastOf(jti))
      case 'session_over': return ofSession(sid, sub)
      case 'key_revoked': return describe(reason, 'The key of the token was revoked', await auditLog.lastOf(kid))
      case 'unknown_key':
        await blocklist.freshen()
        if (blocklist.has(kid)) return explainRefusal({ reason: 'key_revoked' }, kid)
    }
    return { reason, explanation: SENTENCES[reason]! } // every reason that is left has one
  }

  /** The key that a token names; empty for what is no token. */
  function kidOf (token: string): string {
    try {
      const { kid } = JSON.parse(Buffer.from(token.split('.', 1).join(), 'base64url').toString()) as { kid?: unknown }
      return String(kid)
    } catch {
      return ''
    }
  }

  fastify.decorate('explain', {
    token: (token, roles = []) => refreshTokens.has(token) ? explainRefreshToken(fastify, token) : explainAccessToken(token, roles)
  })
}

function toIds ({ claims }: Pick<Refusal, 'claims'>) {
  return claims && { subject: claims.sub, session: claims.sid, tokenId: claims.jti }
}

export default fp(explainPlugin, {
  name: 'explain',
  dependencies: ['access-tokens', 'accounts', 'audit-log', 'blocklist', 'config', 'refresh-tokens', 'sessions']
})
