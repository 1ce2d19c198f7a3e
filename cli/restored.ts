import { readConfig } from '../plugins/core/config/index.ts'
import { readState } from '../plugins/core/database.ts'
import { refuseDatabase } from './copy.ts'
import { print, refuse } from './output.ts'
import { toServiceSettings } from './recorded-settings.ts'
import { assertExists, withService } from './service.ts'
import type { Command } from 'commander'
import type { Config } from '../plugins/core/config/index.ts'

export function addRestored (cli: Command) {
  cli.command('restored')
    .description('Prepare a database that was restored by other means, such as pg_dump or a snapshot. Everybody must sign in again.')
    .action(async () => print(await prepareRestored(readConfig(process.env))))
}

/** Does to the database of DATABASE_URL what `restore` does to a backup, and gives a message for the operator. */
export async function prepareRestored (config: Config): Promise<string> {
  assertExists(config)
  const state = await readState(config.databaseUrl).catch((error) => refuseDatabase(error, 'DATABASE_URL'))
  if (state === undefined) refuse('The database of DATABASE_URL is empty: there is nothing that was restored.')
  const { environment } = toServiceSettings(config.environment, state)
  const settings = readConfig(environment)
  const ended = await withService(settings, ({ afterRestore }) => afterRestore.run({ keepSessions: false }), { isMaker: true })
  return `Sessions ended: ${ended}. Everybody must sign in again.`
}
