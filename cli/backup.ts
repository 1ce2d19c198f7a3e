import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { readConfig } from '../plugins/core/config/index.ts'
import { copyName, copyPages, fileOf, isPostgres, makeDatabaseFile } from '../plugins/core/database.ts'
import { masterKeyFile } from '../plugins/tokens/master-key.ts'
import { copyBetween } from './copy.ts'
import { print, refuse } from './output.ts'
import { assertExists } from './service.ts'
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
  assertExists(config)
  if (!existsSync(dirname(target))) refuse(`There is no folder ${dirname(target)}. Make it first.`)
  try {
    await makeDatabaseFile(target, (draft) => fill(config, draft))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException // nothing here throws anything else
    refuse(code === 'refused' ? message : `${target} was not made: ${message}.`)
  }
  return `${target} is complete.\nIt is useless without the master key. Keep ${keyOf(config)} too, in another place.`
}

async function fill ({ databaseUrl }: Config, draft: string) {
  if (isPostgres(databaseUrl)) await copyBetween(databaseUrl, `file:${draft}`, { name: copyName(databaseUrl), targetIs: draft })
  else await copyPages(fileOf(databaseUrl)!, draft) // it exists
}

function keyOf ({ databaseUrl, masterKey }: Config): string {
  const isSet = masterKey !== undefined || isPostgres(databaseUrl)
  return isSet ? 'MASTER_KEY' : `the file ${masterKeyFile(fileOf(databaseUrl)!)}` // it exists
}
