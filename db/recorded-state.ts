import { isPostgres } from './index.ts'
import { fileOf } from './sqlite/index.ts'
import { readSqliteState } from './sqlite/inspect.ts'
import type { RecordedState } from './service-state.ts'

/**
 * Reads what the service recorded in the database of a URL, and changes nothing. Gives undefined for an empty one, which the
 * first start fills.
 * @throws the engine's error when it cannot be read
 */
export async function readState (url: string): Promise<RecordedState | undefined> {
  const { version, state } = await read(url)
  return version === 'empty' ? undefined : state
}

async function read (url: string) {
  if (!isPostgres(url)) return readSqliteState(fileOf(url) ?? '')
  const { readPostgresState } = await import('./postgres/recorded-state.ts') // with `pg`, which nobody else needs
  return readPostgresState(url)
}
