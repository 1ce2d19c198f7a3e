import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { readConfig } from '../plugins/core/config/index.ts'
import { isPostgres, lockDatabase, removeDatabase, replaceDatabase } from '../plugins/core/database.ts'
import { masterKeyFile } from '../plugins/tokens/master-key.ts'
import { print, refuse } from './output.ts'
import { copyBackup, prepareCandidate } from './restore-candidate.ts'
import { restoreToServer } from './restore-to-server.ts'
import { databaseFileOf } from './service.ts'
import type { Command } from 'commander'
import type { Config } from '../plugins/core/config/index.ts'
import type { RestoreOptions } from './restore-candidate.ts'

export function addRestore (cli: Command) {
  cli.command('restore')
    .description(
      'Replace the database by a backup, while the service is stopped; on PostgreSQL, fill an empty one. Everybody must sign in again.'
    )
    .argument('<file>')
    .option(
      '--keep-sessions',
      'leave everybody signed in; only when nothing happened since the backup, or sessions that ended since then live again'
    )
    .action(async (backup: string, options: RestoreOptions) => print(await restore(readConfig(process.env), backup, options)))
}

/**
 * Replaces the database by a backup, after starting the service on a copy of it to see that it works. On PostgreSQL the database
 * must be empty. Gives a message for the operator. A refusal leaves everything as it was.
 */
export function restore (config: Config, backup: string, options: RestoreOptions = {}): Promise<string> {
  return isPostgres(config.databaseUrl) ? restoreToServer(config, backup, options) : restoreFile(config, backup, options)
}

async function restoreFile (config: Config, backup: string, options: RestoreOptions): Promise<string> {
  const file = databaseFileOf(config)
  const candidate = `${file}.restoring`
  const aside = `${file}.before-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`

  if (!existsSync(backup)) refuse(`There is no file ${backup}.`)
  assertMasterKey(config, file)
  const release = lock(file)
  const hadOne = existsSync(file)
  try {
    copyBackup(backup, candidate)
    const ended = await prepareCandidate(config, candidate, options)
    replaceDatabase(candidate, file, aside)
    return [
      `${file} is restored. Start the service.`,
      hadOne ? `The database that was there is ${aside}.` : '',
      options.keepSessions ? '' : `Sessions ended: ${ended}. Everybody must sign in again.`
    ].filter(Boolean).join('\n')
  } finally {
    removeDatabase(candidate)
    release()
  }
}

/** A start would make a new key, with which nothing can be read. */
function assertMasterKey ({ masterKey }: Config, file: string) {
  const path = masterKeyFile(file)
  if (masterKey !== undefined || existsSync(path)) return
  refuse(`The master key of the backup is missing. Put it at ${path}, or set MASTER_KEY.`)
}

function lock (file: string): () => void {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    return () => {}
  }
  try {
    return lockDatabase(file)
  } catch {
    refuse(`${file} is in use. Stop the service.`)
  }
}
