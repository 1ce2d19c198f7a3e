import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { readConfig } from '../plugins/core/config/index.ts'
import { inspect, lockDatabase, removeDatabase, replaceDatabase, settle } from '../plugins/core/database.ts'
import { masterKeyFile } from '../plugins/tokens/master-key.ts'
import { print, refuse } from './output.ts'
import { toServiceSettings } from './recorded-settings.ts'
import { databaseFileOf, stateOf, withService } from './service.ts'
import type { Command } from 'commander'
import type { Config } from '../plugins/core/config/index.ts'

interface RestoreOptions {
  /** For a backup after which nothing was written. */
  keepSessions?: boolean
}

export function addRestore (cli: Command) {
  cli.command('restore')
    .description('Replace the database by a backup, while the service is stopped. Everybody must sign in again.')
    .argument('<file>')
    .option(
      '--keep-sessions',
      'leave everybody signed in; only when nothing happened since the backup, or sessions that ended since then live again'
    )
    .action(async (backup: string, options: RestoreOptions) => print(await restore(readConfig(process.env), backup, options)))
}

/**
 * Replaces the database by a backup, after starting the service on a copy of it to see that it works. Gives a message for
 * the operator. A refusal leaves everything as it was.
 */
export async function restore (config: Config, backup: string, { keepSessions = false }: RestoreOptions = {}): Promise<string> {
  const file = databaseFileOf(config)
  const candidate = `${file}.restoring`
  const aside = `${file}.before-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`

  if (!existsSync(backup)) refuse(`There is no file ${backup}.`)
  assertMasterKey(config, file)
  const release = lock(file)
  const hadOne = existsSync(file)
  try {
    copyWhole(backup, candidate)
    assertPostern(candidate, backup)
    const ended = await prepareCandidate(config, candidate, keepSessions)
    replaceDatabase(candidate, file, aside)
    return [
      `${file} is restored. Start the service.`,
      hadOne ? `The database that was there is ${aside}.` : '',
      keepSessions ? '' : `Sessions ended: ${ended}. Everybody must sign in again.`
    ].filter(Boolean).join('\n')
  } finally {
    removeDatabase(candidate)
    release()
  }
}

/** Starts the service on the copy, by the settings that are recorded in it, and gives how many sessions ended. */
async function prepareCandidate (config: Config, candidate: string, keepSessions: boolean) {
  const { environment } = toServiceSettings(config.environment, stateOf(candidate))
  const settings = { ...readConfig(environment), masterKey: config.masterKey, databaseUrl: `file:${candidate}` }
  const ended = await withService(settings, ({ afterRestore }) => afterRestore.run({ keepSessions }), { isMaker: true })
  settle(candidate)
  return ended
}

function assertPostern (candidate: string, backup: string) {
  const { faults: [fault], version } = inspect(candidate)
  if (fault !== undefined) refuse(`${backup} is damaged (${fault}). Take another backup.`)
  if (version === 'foreign' || version === 'empty') refuse(`${backup} is no database of Postern.`)
  if (version === 'newer') refuse(`${backup} was written by a later version of Postern. Install that version.`)
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

/** A backup made by other means may have a part of itself in its -wal. */
function copyWhole (backup: string, candidate: string) {
  removeDatabase(candidate) // what a restore left that was interrupted
  for (const suffix of ['', '-wal']) {
    if (!existsSync(backup + suffix)) continue
    copyFileSync(backup + suffix, candidate + suffix)
    chmodSync(candidate + suffix, 0o600)
  }
}
