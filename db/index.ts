import { closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterRestoreRepository } from './after-restore.ts'
import { apiClientsRepository } from './api-clients.ts'
import { auditRepository } from './audit.ts'
import { withAudit } from './audit-chain.ts'
import { connect } from './connection.ts'
import { everySessionRepository } from './every-session.ts'
import { assertCurrent, migrate } from './migrate.ts'
import { probeRepository } from './probe.ts'
import { requestCountsRepository } from './request-counts.ts'
import { revocationsRepository } from './revocations.ts'
import { serviceStateRepository } from './service-state.ts'
import { sessionsRepository } from './sessions.ts'
import { signInLimitsRepository } from './sign-in-limits.ts'
import { signingKeysRepository } from './signing-keys.ts'
import { statusListsRepository } from './status-lists.ts'
import { usersRepository } from './users.ts'
import { createWriter } from './writer.ts'

const BUSY_TIMEOUT_MILLISECONDS = 5 // blocks the event loop, so it is short; the writer waits longer without blocking

/** 16 MiB of the -wal. With SQLite's 1,000 the same pages are written more often: a twelfth fewer refreshes. */
const CHECKPOINT_PAGES = 4000

export type Database = Awaited<ReturnType<typeof openDatabase>>

/** The file of a `file:` URL; undefined for a database in memory. */
export function fileOf (url: string): string | undefined {
  const path = url.replace(/^file:/, '')
  return path === ':memory:' ? undefined : path
}

/**
 * Opens the database, making it (folder 0700, file 0600) when it is not there, and brings its schema up to date.
 * With `isMaker: false` it must be there and up to date, and is left as it is. Gives the repositories, and `close`.
 * @throws SqliteError, the system's error when the file cannot be made or opened, or `wrong_version` with a sentence
 */
export async function openDatabase (url: string, { isMaker = true } = {}) {
  const file = fileOf(url)
  if (file && isMaker) prepareFile(file)
  const assertInPlace = inPlaceCheck(file) // from before the opening on: `restore` may put another file there meanwhile
  const { client, connection } = connect(file, { isMaker })
  try {
    if (isMaker) migrate(client)
    else assertCurrent(client)
  } catch (error) {
    client.close()
    throw error
  }
  client.pragma(`busy_timeout = ${BUSY_TIMEOUT_MILLISECONDS}`)
  client.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)

  const { write: writeOnly, writeUnsynced, revision, observeCommits } = createWriter(client, assertInPlace)
  const write = withAudit(connection, writeOnly)

  return {
    users: usersRepository(connection, write),
    sessions: sessionsRepository(connection, write),
    everySession: everySessionRepository(connection, write),
    revocations: revocationsRepository(connection, write),
    afterRestore: afterRestoreRepository(connection, write),
    signingKeys: signingKeysRepository(connection, write),
    statusLists: statusListsRepository(connection, write),
    apiClients: apiClientsRepository(connection, write),
    requestCounts: requestCountsRepository(connection, writeUnsynced),
    signInLimits: signInLimitsRepository(connection, writeUnsynced),
    serviceState: serviceStateRepository(connection, write),
    probe: probeRepository(connection, write),
    audit: auditRepository(connection, write),
    revision,
    observeCommits,
    async close () {
      client.close()
    }
  }
}

function prepareFile (file: string) {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  closeSync(openSync(file, 'a', 0o600)) // SQLite gives its -wal and -shm the same permissions
}

/**
 * A file that was deleted or moved away goes on taking writes that nobody will find again.
 * The check throws what SQLite itself throws for that outside WAL mode.
 */
function inPlaceCheck (file: string | undefined): () => void {
  if (!file) return () => {}
  const opened = statSync(file).ino
  return () => {
    if (statSync(file, { throwIfNoEntry: false })?.ino === opened) return
    throw Object.assign(new Error(`The database file ${file} was moved or deleted.`), { code: 'SQLITE_READONLY_DBMOVED' })
  }
}
