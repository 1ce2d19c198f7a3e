import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { readConfig } from '../plugins/core/config/index.ts'
import { copyDatabase } from '../plugins/core/database.ts'
import { masterKeyFile } from '../plugins/tokens/master-key.ts'
import { print, refuse } from './output.ts'
import { existingDatabaseOf } from './service.ts'
import type { Command } from 'commander'
import type { Config } from '../plugins/core/config/index.ts'

export function addBackup (cli: Command) {
  cli.command('backup')
    .description('Copy the database into a new file, while the service runs.')
    .argument('<file>')
    .action(async (target: string) => print(await backUp(readConfig(process.env), target)))
}

/** Copies the database into a new file, and gives a message for the operator. */
export async function backUp (config: Config, target: string): Promise<string> {
  const file = existingDatabaseOf(config)
  if (!existsSync(dirname(target))) refuse(`There is no folder ${dirname(target)}. Make it first.`)
  try {
    await copyDatabase(file, target)
  } catch (error) {
    refuse(`${target} was not made: ${(error as Error).message}.`) // nothing else throws here
  }
  const key = config.masterKey === undefined ? `the file ${masterKeyFile(file)}` : 'MASTER_KEY'
  return `${target} is complete.\nIt is useless without the master key. Keep ${key} too, in another place.`
}
