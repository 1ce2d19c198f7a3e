import { afterRestoreRepository } from './after-restore.ts'
import { apiClientsRepository } from './api-clients.ts'
import { auditRepository } from './audit.ts'
import { withAudit } from './audit-entry.ts'
import { assertComplete } from './copy-mark.ts'
import { everySessionRepository } from './every-session.ts'
import { jobsRepository } from './jobs.ts'
import { requestCountsRepository } from './request-counts.ts'
import { revocationsRepository } from './revocations.ts'
import { serviceStateRepository } from './service-state.ts'
import { sessionsRepository } from './sessions.ts'
import { signInLimitsRepository } from './sign-in-limits.ts'
import { signingKeysRepository } from './signing-keys.ts'
import { openSqlite } from './sqlite/index.ts'
import { statusListsRepository } from './status-lists.ts'
import { statusPlaces } from './status-places.ts'
import { usersRepository } from './users.ts'
import type { PostgresOptions } from './postgres/index.ts'
import type { Store } from './store.ts'

export type Database = Awaited<ReturnType<typeof openDatabase>>

export type DatabaseOptions = Partial<PostgresOptions>

/** Tells whether a URL is one of PostgreSQL. */
export function isPostgres (url: string): boolean {
  return /^postgres(ql)?:/.test(url)
}

/**
 * Opens the database of a URL, and brings its schema up to date; with `isMaker: false` it must be there and up to date, and is
 * left as it is. Gives the repositories, the news, and `close`.
 * @throws the engine's error when it cannot be made or opened, or `wrong_version` or `wrong_setting` with a sentence
 */
export async function openDatabase (url: string, options: DatabaseOptions = {}) {
  const store = await openStore(url, options)
  const { news, probe, observeCommits, load, close } = store
  const repositories = repositoriesOf(store)
  try {
    assertComplete(await repositories.serviceState.read())
  } catch (error) {
    await close()
    throw error
  }
  return { ...repositories, news, probe, observeCommits, load, close }
}

async function openStore (url: string, options: DatabaseOptions): Promise<Store> {
  if (!isPostgres(url)) return openSqlite(url, options)
  const { openPostgres } = await import('./postgres/index.ts') // with `pg`, which nobody else needs
  return openPostgres(url, options)
}

function repositoriesOf (store: Store) {
  const write = withAudit(store)
  const placeFor = statusPlaces(store)
  return {
    users: usersRepository(store, write, placeFor),
    sessions: sessionsRepository(store, write, placeFor),
    everySession: everySessionRepository(store, write),
    revocations: revocationsRepository(store, write),
    afterRestore: afterRestoreRepository(store, write),
    signingKeys: signingKeysRepository(store, write),
    statusLists: statusListsRepository(store, store.write),
    apiClients: apiClientsRepository(store, write),
    requestCounts: requestCountsRepository(store, store.writeUnsynced),
    signInLimits: signInLimitsRepository(store, store.writeUnsynced),
    serviceState: serviceStateRepository(store, store.write),
    jobs: jobsRepository(store, store.write),
    audit: auditRepository(store, write)
  }
}
