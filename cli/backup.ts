import { existsSync } from 'node:fs'
import { copyDatabase } from '../db/backup.ts'
import { fileOf } from '../db/index.ts'
import { readConfig } from '../plugins/config.ts'
import { masterKeyFile } from '../plugins/master-key.ts'
import { refuse } from './service.ts'
import type { Command } from 'commander'
import type { Config } from '../plugins/config.ts'

export function addBackup (cli: Command) {
  cli.command('backup')
    .description('copy the database into a new file, while the service runs')
    .argument('<file>')
    .action(async (target: string) => console.log(await backUp(readConfig(process.env), target)))
}

/** Copies the database into a new file; gives what to tell the operator. */
export async function backUp ({ databaseUrl, masterKey }: Config, target: string): Promise<string> {
  const file = databaseFileOf(databaseUrl)
  if (!existsSync(file)) refuse(`There is no database ${file} yet: start the service once.`)
  try {
    await copyDatabase(file, target)
  } catch (error) {
    refuse(`${target} was not made: ${(error as Error).message}.`) // nothing else throws here
  }
  const key = masterKey === undefined ? `the file ${masterKeyFile(file)}` : 'MASTER_KEY'
  return `${target} is whole.\nIt is of no use without the master key: keep ${key} too, and in another place.`
}

/** The file of the database; ends the command when it is in memory. */
export function databaseFileOf (url: string): string {
  return fileOf(url) ?? refuse('DATABASE_URL is a database in memory: there is no file.')
}
