import { accountTables } from './accounts.ts'
import { auditTables } from './audit.ts'
import { clientTables } from './clients.ts'
import { limitTables } from './limits.ts'
import { revocationTables } from './revocations.ts'
import { serviceTables } from './service.ts'
import { signingKeyTables } from './signing-keys.ts'
import { statusListTables } from './status-lists.ts'
import type { Words } from '../sqlite/words.ts'

export type * from './accounts.ts'
export type * from './audit.ts'
export type * from './clients.ts'
export type * from './limits.ts'
export type * from './revocations.ts'
export type * from './signing-keys.ts'

/** All tables that both engines have, in the words of one of them. */
export function tablesOf (words: Words) {
  return {
    ...accountTables(words),
    ...revocationTables(words),
    ...statusListTables(words),
    ...signingKeyTables(words),
    ...clientTables(words),
    ...limitTables(words),
    ...serviceTables(words),
    ...auditTables(words)
  }
}

export type Tables = ReturnType<typeof tablesOf>
