import Client from 'better-sqlite3'
import { MARK_NAME } from '../copy-mark.ts'
import { versionOf } from './migrate.ts'
import type { Version } from '../migrations.ts'
import type { RecordedState } from '../service-state.ts'

const FIND_FAULTS = 'select integrity_check from pragma_integrity_check where integrity_check <> \'ok\''

export interface Inspection {
  /** Faults of the file, in SQLite's words; none when it is sound. */
  faults: string[]
  version: Version
  /** The signing keys as stored. */
  keys: Array<{ kid: string, privateKey: Buffer }>
  /** The latest time in any row, in milliseconds since 1970; 0 in an empty database. */
  newestTime: number
  /** True for a copy that is not complete. */
  isCopying: boolean
}

/** Examines a database file and changes nothing in it, whether or not a service has it open. */
export function inspect (file: string): Inspection {
  const found: Inspection = { faults: [], version: 'foreign', keys: [], newestTime: 0, isCopying: false }
  let client
  try {
    client = new Client(file, { fileMustExist: true }) // opened to write, because a reader leaves its -wal behind
    client.pragma('query_only = ON')
    found.faults = faultsOf(client)
    found.version = versionOf(client)
    if (found.version === 'foreign' || found.version === 'empty') return found
    found.keys = client.prepare<[], Inspection['keys'][number]>('select kid, private_key as privateKey from signing_keys').all()
    found.newestTime = newestTimeOf(client)
    found.isCopying = MARK_NAME in stateIn(client)
  } catch (error) {
    found.faults.push((error as Error).message) // SQLite throws nothing else
  } finally {
    client?.close()
  }
  return found
}

/** The version of a database, and what the service recorded in it at its last start. */
export interface Recorded { version: Version, state: RecordedState }

/**
 * Reads them, and changes nothing.
 * @throws SqliteError when the file is no database
 */
export function readSqliteState (file: string): Recorded {
  const client = new Client(file, { fileMustExist: true })
  try {
    return { version: versionOf(client), state: stateIn(client) }
  } finally {
    client.close()
  }
}

/** What the service recorded; empty for a file that it never started on. */
export function stateIn (client: Client.Database): RecordedState {
  const isThere = client.prepare("select 1 from sqlite_schema where name = 'service_state'").get()
  const rows = isThere ? client.prepare<[], [string, string]>('select name, value from service_state').raw().all() : []
  return Object.fromEntries(rows)
}

function faultsOf (client: Client.Database): string[] {
  const faults = client.prepare<[], string>(FIND_FAULTS).pluck().all()
  const orphans = client.pragma('foreign_key_check') as unknown[]
  return orphans.length > 0 ? [...faults, `${orphans.length} rows refer to missing rows`] : faults
}

function newestTimeOf (client: Client.Database): number {
  return Number(client.prepare(`select max(time) from (
    select max(last_used_at) as time from sessions union all select max(created_at) from users union all
    select max(created_at) from signing_keys union all select max(written_at) from probe
  )`).pluck().get())
}
