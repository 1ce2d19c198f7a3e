import { readConfig } from '../plugins/core/config/index.ts'
import { copyAll, copyName, fileOf, isPostgres, openCopySource, openCopyTarget } from '../plugins/core/database.ts'
import { masterKeyFile } from '../plugins/tokens/master-key.ts'
import { print, refuse } from './output.ts'
import { createProgressLine } from './progress.ts'
import { assertExists } from './service.ts'
import type { Command } from 'commander'
import type { Config } from '../plugins/core/config/index.ts'
import type { Environment } from '../plugins/core/config/parse.ts'

const IN_USE = 'The service seems to run: whatever it has revoked or written since the copy began is not in it. ' +
  'To move, stop the service and copy into another empty database.'

/** A copy that was made: the rows in it, and the processes of the service that may have written to its source meanwhile. */
interface Copied { rows: number, instances: number }

export function addCopy (cli: Command) {
  cli.command('copy')
    .description('Copy the whole database into a new one, of SQLite or PostgreSQL. Run it again after an interruption: it goes on.')
    .requiredOption('--to <url>', 'an empty PostgreSQL database, or a file: that is not there')
    .action(async ({ to }: { to: string }) => {
      const config = readConfig(process.env)
      print(await copy(config, readTarget(process.env, to)))
    })
}

/** Copies the database of DATABASE_URL, and gives a message for the operator. */
export async function copy (config: Config, to: string): Promise<string> {
  assertExists(config)
  const { rows, instances } = await copyBetween(config.databaseUrl, to, { name: copyName(config.databaseUrl), targetIs: '--to' })
  const file = fileOf(config.databaseUrl)
  const key = config.masterKey !== undefined || file === undefined || isPostgres(config.databaseUrl)
    ? 'leave MASTER_KEY as it is'
    : `set MASTER_KEY to what is in ${masterKeyFile(file)}`
  return [
    `copied and compared: ${rows} rows`,
    instances > 0 ? IN_USE : '',
    `Set DATABASE_URL to the new database, ${key}, and start the service. Nobody has to sign in again.`,
    'Do not start it on the old database any more: what one of them revokes is good in the other.'
  ].filter(Boolean).join('\n')
}

interface CopyNames {
  /** Tells the source from others, when an interrupted copy goes on. */
  name: string
  /** The setting that names the target, for refusals. */
  targetIs: string
}

/** Copies a database between two URLs, and ends the command with a sentence when it cannot. */
export async function copyBetween (from: string, to: string, { name, targetIs }: CopyNames): Promise<Copied> {
  const target = await openCopyTarget(to, name).catch((error) => refuseDatabase(error, targetIs))
  const progress = createProgressLine()
  try {
    const source = await openCopySource(from, name).catch((error) => refuseDatabase(error, 'DATABASE_URL'))
    try {
      return { rows: await copyAll(source, target, progress.show), instances: await source.countInstances() }
    } catch (error) {
      refuseInterrupted(error as Error) // nothing here throws anything else
    } finally {
      await source.close()
    }
  } finally {
    progress.clear()
    await target.close()
  }
}

/** A URL may hold a password: no sentence has it. */
export function refuseDatabase (error: Error & { code?: string }, name: string): never {
  const { code = '', message } = error
  if (['refused', 'wrong_setting', 'wrong_version'].includes(code)) refuse(message.replaceAll('DATABASE_URL', name))
  refuse(`The database of ${name} cannot be used (${message || code}).`)
}

function refuseInterrupted (error: Error & { code?: string }): never {
  if (error.code !== 'database_unavailable') throw error
  refuse(`The copy was interrupted (${error.message}). Run the command again.`)
}

function readTarget (environment: Environment, to: string): string {
  try {
    return readConfig({ ...environment, DATABASE_URL: to }).databaseUrl
  } catch (error) {
    refuse((error as Error).message.replace('DATABASE_URL', '--to')) // a sentence, and nothing else is thrown
  }
}
