import { toRevocation } from '../revocations.ts'
import { postgresDialect } from './dialect.ts'
import type { RevocationRow } from '../revocations.ts'
import type { Revocation } from '../schema/index.ts'

const PAGE_SIZE = 1000

/**
 * One statement, and so one moment of the database: this instance is alive and knows all revocations up to `known`; the heads,
 * the server's clock and start; and what was revoked after `known`. It waits half a second at most for another sync of its own
 * that was given up and whose commit hangs: those would pile up while a synchronous standby is away.
 */
const SYNC = `with patience as materialized (select set_config('lock_timeout', '500', true)),
  me as (update instances set beat = beat + 1, known = ? from patience where id = ? returning beat),
  state as (select (select beat from me) as beat,
    (select value from heads where name = 'revocations') as head,
    (select value from heads where name = 'keys') as keys,
    pg_postmaster_start_time()::text as started,
    (extract(epoch from clock_timestamp()) * 1000)::bigint as clock)
  select beat, head, keys, started, clock, sequence, revoked_id, until, kind from state
  left join lateral (select * from revocations where sequence > ? order by sequence limit ${PAGE_SIZE}) as news on true
  order by sequence`

export type SyncRow = [
  beat: number | null, head: number, keys: number, started: string, clock: number,
  sequence: number | null, revokedId: string, until: number, kind: Revocation['kind']
]

export const sync = postgresDialect.text<[known: number, id: string, after: number], SyncRow>('', SYNC, { revokes: false })

/** The answer of a sync. */
export interface Synced {
  /** False when this instance is not in the registry (any more). */
  isRegistered: boolean
  /** The number of the last revocation, or change of keys, at that moment. */
  head: number
  keys: number
  /** When the server started: another one after a restart or a failover. */
  started: string
  clock: number
  revocations: Revocation[]
  /** False when there are more revocations. */
  isWhole: boolean
}

export function toSynced (rows: SyncRow[]): Synced {
  const [beat, head, keys, started, clock] = rows[0]! // there is a row, whatever is new
  const found = rows.filter(([, , , , , sequence]) => sequence !== null)
  const revocations = found.map(([, , , , , sequence, ...rest]) => toRevocation([sequence, ...rest] as RevocationRow)) // it is not null
  return { isRegistered: beat !== null, head, keys, started, clock, revocations, isWhole: revocations.length < PAGE_SIZE }
}

export const register = postgresDialect.text<[id: string, known: number, lease: number]>(
  '', 'insert into instances (id, beat, known, lease) values (?, 0, ?, ?)'
)
export const unregister = postgresDialect.text<[id: string]>('', 'delete from instances where id = ?')
export const others = postgresDialect.text<[id: string], [id: string, beat: number, known: number, lease: number]>(
  '', 'select id, beat, known, lease from instances where id <> ?'
)
/** Removes an instance, unless it has said something since. */
export const removeSilent = postgresDialect.text<[id: string, beat: number]>('', 'delete from instances where id = ? and beat = ?')
