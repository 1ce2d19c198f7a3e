import { chmodSync, copyFileSync, existsSync } from 'node:fs'
import { readConfig } from '../plugins/core/config/index.ts'
import { inspect, removeDatabase, settle } from '../plugins/core/database.ts'
import { refuse } from './output.ts'
import { toServiceSettings } from './recorded-settings.ts'
import { stateOf, withService } from './service.ts'
import type { Config } from '../plugins/core/config/index.ts'

export interface RestoreOptions {
  /** For a backup after which nothing was written. */
  keepSessions?: boolean
}

/** Copies a backup to `candidate`, and ends the command unless it is one. */
export function copyBackup (backup: string, candidate: string) {
  if (!existsSync(backup)) refuse(`There is no file ${backup}.`)
  copyWhole(backup, candidate)
  assertPostern(candidate, backup)
}

/**
 * Starts the service on the copy, by the settings that are recorded in it, to see that it works and to end what was issued
 * before. Gives how many sessions ended.
 */
export async function prepareCandidate (config: Config, candidate: string, { keepSessions = false }: RestoreOptions) {
  const { environment } = toServiceSettings(config.environment, await stateOf(`file:${candidate}`))
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

/** A backup made by other means may have a part of itself in its -wal. */
function copyWhole (backup: string, candidate: string) {
  removeDatabase(candidate) // what a restore left that was interrupted
  for (const suffix of ['', '-wal']) {
    if (!existsSync(backup + suffix)) continue
    copyFileSync(backup + suffix, candidate + suffix)
    chmodSync(candidate + suffix, 0o600)
  }
}
