import { Type } from 'typebox'
import { AuditEvent, toAuditEvent } from '../audit/schemas.ts'
import { Role } from '../schemas.ts'
import type { Static } from 'typebox'
import type { Explanation as ExplanationFields, Reason } from '../../plugins/features/explain/explanation.ts'

export const ExplainRequest = Type.Object({
  token: Type.String({
    minLength: 1,
    maxLength: 8192,
    description: 'An access token or a refresh token',
    examples: ['eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIs…']
  }),
  roles: Type.Optional(Type.Array(Role, { maxItems: 16, description: 'Roles that an access token should have' }))
}, { additionalProperties: false, title: 'ExplainRequest' })

const REASONS = [
  'good', 'missing_role', 'expired', 'not_yet_valid', 'already_used', 'session_over', 'token_revoked',
  'account_disabled', 'account_deleted', 'key_revoked', 'unknown_key',
  'bad_signature', 'wrong_issuer', 'wrong_audience', 'wrong_type', 'malformed', 'not_as_issued'
] as const satisfies Reason[]

export const Explanation = Type.Object({
  reason: Type.Enum([...REASONS], {
    description: 'The rule that refuses the token; `good` when none does',
    examples: ['session_over']
  }),
  explanation: Type.String({
    examples: ['The session of the token is over: logged_out, by user wK3l0aTqW4m1xJZr8bYcVg, at 2026-11-21T09:30:00.000Z.']
  }),
  subject: Type.Optional(Type.String()),
  session: Type.Optional(Type.String()),
  token_id: Type.Optional(Type.String()),
  cause: Type.Optional(AuditEvent)
}, { title: 'Explanation', description: 'The rule that refuses the token, and the event that made it so' })

/** An explanation as administrators see it. */
export function toExplanation ({ reason, explanation, subject, session, tokenId, cause }: ExplanationFields): Static<typeof Explanation> {
  return { reason, explanation, subject, session, token_id: tokenId, ...cause && { cause: toAuditEvent(cause) } }
}
