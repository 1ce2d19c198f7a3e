import type { Revocation } from '../../core/database.ts'

/** A revocation as a server-sent event, whose id is the cursor. */
export function toEvent ({ sequence, kind, revokedId, until }: Revocation): string {
  return `id: ${sequence}\nevent: revoked\ndata: ${JSON.stringify({ kind, id: revokedId, until: new Date(until).toISOString() })}\n\n`
}
