import type { AuditEvent } from '../../core/database.ts'
import type { Refusal } from '../../tokens/verify-access-token.ts'

export type Reason = Refusal['reason'] | 'good' | 'missing_role' | 'already_used' | 'account_disabled' | 'account_deleted'

export interface Explanation {
  /** The rule that refuses the token; `good` when none does. */
  reason: Reason
  /** The same as a sentence. */
  explanation: string
  /** The claims of the token, only if its signature is ours. */
  subject?: string
  session?: string
  tokenId?: string
  /** The event that made it invalid, as far as the audit log reaches. */
  cause?: AuditEvent
}
