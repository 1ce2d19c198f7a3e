import { existsSync } from 'node:fs'
import { readConfig } from '../plugins/core/config/index.ts'
import { copyDatabase, fileOf } from '../plugins/core/database.ts'
import { masterKeyFile } from '../plugins/tokens/master-key.ts'
import { print, refuse } from './tools.ts'
import type { Command } from 'commander'
import type { Config } from '../plugins/core/config/index.ts'

export function addBackup (cli: Command) {
  cli.command('backup')
    .description('Copy the database into a new file, while the service runs.')
    .argument('<file>')
    .action(async (target: string) => print(await backUp(readConfig(process.env), target)))
}

/** Copies the database into a new file, and gives a message for the operator. */
export async function backUp ({ databaseUrl, masterKey }: Config, target: string): Promise<string> {
  const file = databaseFileOf(databaseUrl)
  if (!existsSync(file)) refuse(`There is no database ${file} yet. Start the service once.`)
  try {
    await copyDatabase(file, target)
  } catch (error) {
    refuse(`${target} was not made: ${(error as Error).message}.`) // nothing else throws here
  }
  const key = masterKey === undefined ? `the file ${masterKeyFile(file)}` : 'MASTER_KEY'
  return `${target} is complete.\nIt is useless without the master key. Keep ${key} too, in another place.`
}

/** The file of the database. Ends the command when the database is in memory. */
export function databaseFileOf (url: string): string {
  return fileOf(url) ?? refuse('DATABASE_URL is a database in memory: there is no file.')
}
