import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCopyTarget, copyName } from '../plugins/core/database.ts'
import { copyBetween, refuseDatabase } from './copy.ts'
import { refuse } from './output.ts'
import { copyBackup, prepareCandidate } from './restore-candidate.ts'
import type { Config } from '../plugins/core/config/index.ts'
import type { RestoreOptions } from './restore-candidate.ts'

/** Copies a backup into an empty PostgreSQL database, after starting the service on a copy of it in a temporary folder. */
export async function restoreToServer (config: Config, backup: string, options: RestoreOptions): Promise<string> {
  const { databaseUrl, masterKey } = config
  if (masterKey === undefined) refuse('The master key of the backup is missing. Set MASTER_KEY.')
  const folder = mkdtempSync(join(tmpdir(), 'postern-restore-')) // 0700
  const candidate = join(folder, 'postern.db')
  try {
    copyBackup(backup, candidate)
    const name = `restore ${copyName(`file:${realpathSync(backup)}`)}`
    await assertEmpty(databaseUrl, name)
    const ended = await prepareCandidate(config, candidate, options)
    await copyBetween(`file:${candidate}`, databaseUrl, { name, targetIs: 'DATABASE_URL' })
    const message = 'The database is restored. Start the service.'
    return options.keepSessions ? message : `${message}\nSessions ended: ${ended}. Everybody must sign in again.`
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Ends the command before anything is done when the copy would be refused. */
async function assertEmpty (databaseUrl: string, name: string) {
  const target = await openCopyTarget(databaseUrl, name).catch((error) => refuseDatabase(error, 'DATABASE_URL'))
  await target.close()
}
