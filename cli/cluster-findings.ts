import { fail, ok, warn } from './findings.ts'
import type { Config } from '../plugins/core/config/index.ts'
import type { DatabaseContent, ServerInspection } from '../plugins/core/database.ts'
import type { Finding } from './findings.ts'

const LONG_SECONDS = 300

type Settings = ServerInspection['settings']

/** Checks that what the server has answered outlives a crash of it, and what a failover loses. */
export function examineDurability (settings: Settings): Finding[] {
  const { fsync, fullPageWrites, synchronousCommit, standbys, synchronousStandbys } = settings
  const checks: Array<[isWrong: boolean, finding: Finding]> = [
    [fsync !== 'on', fail('durability', 'fsync is off: a power cut can destroy the database.', 'Switch it on.')],
    [fullPageWrites !== 'on', warn('durability', 'full_page_writes is off: a power cut can tear pages.', 'Switch it on.')],
    [
      synchronousCommit === 'off',
      fail('durability', 'synchronous_commit is off: a crash of the server loses revocations that were answered.', 'Set it to on.')
    ],
    [
      synchronousCommit === 'local' && synchronousStandbys !== '',
      warn('durability', 'synchronous_commit is local: answers do not wait for the standby.', 'Set it to on.')
    ],
    [
      standbys > 0 && synchronousStandbys === '',
      warn(
        'standby',
        `Standbys are connected (${standbys}), and synchronous_standby_names is empty: a failover may lose the last commits,`,
        'revocations among them. With a synchronous standby what is revoked stays revoked.'
      )
    ]
  ]
  const findings = checks.filter(([isWrong]) => isWrong).map(([, finding]) => finding)
  return findings.length > 0 ? findings : [ok('durability', 'what was answered outlives a crash of the server')]
}

/** Checks that nobody on the way reads along. */
export function examineTls (tls: ServerInspection['tls']): Finding {
  switch (tls) {
    case 'local': return ok('tls', 'the server is on this machine')
    case 'verified': return ok('tls', 'the certificate of the server is verified')
    case 'unverified':
      return warn('tls', 'Nobody checks the certificate of the server: who is in between can read along.', 'Use sslmode=verify-full.')
    case 'off':
      return warn('tls', 'The database is spoken to without TLS: who is in between can read and change.', 'Use sslmode=verify-full.')
  }
}

export function examineNews (isHeard: boolean): Finding {
  if (isHeard) return ok('news', 'notifications are heard')
  const fault = 'Notifications are not heard, as behind a pooler in transaction mode: each instance asks ten times a second instead.'
  return warn('news', fault, 'Give the service a direct connection, if that is too often.')
}

/** Checks that no transaction keeps the server from cleaning up. */
export function examineTransactions (oldest: ServerInspection['oldestTransaction']): Finding {
  if (!oldest || oldest.seconds < LONG_SECONDS) return ok('transaction', 'none is open for long')
  const { seconds, database, who } = oldest
  const fault = `A transaction is open for ${Math.round(seconds / 60)} min (database ${database}, ${who}).`
  return warn('transaction', fault, 'End it: rows that change all the time pile up meanwhile.')
}

/** Checks that the instances in the registry live, and that the server has connections for all of them. */
export function examineInstances (
  { alive, silent }: DatabaseContent['instances'],
  { databaseConnections, revocationLeaseSeconds }: Pick<Config, 'databaseConnections' | 'revocationLeaseSeconds'>,
  { mostConnections }: Settings
): Finding[] {
  const wanted = Math.max(1, alive) * (databaseConnections + 1)
  return [
    silent === 0
      ? ok('instances', alive === 0 ? 'none is running' : `${alive} are running`)
      : warn(
        'instances',
        `${silent} of ${alive + silent} say nothing: they stopped without a word.`,
        `A revocation waits ${revocationLeaseSeconds} s for them, and removes them. Start them again, or leave it so.`
      ),
    wanted <= mostConnections
      ? ok('connections', `${wanted} of ${mostConnections} that the server takes`)
      : warn('connections', `The instances may open ${wanted}, and the server takes ${mostConnections}.`, 'Lower DATABASE_CONNECTIONS.')
  ]
}
