import { CommanderError } from 'commander'
import { allSettings, readConfig } from '../plugins/core/config/index.ts'
import { parseSettings } from '../plugins/core/config/parse.ts'
import { fileOf } from '../plugins/core/database.ts'
import { examineDatabase } from './database-findings.ts'
import { examineDisk, examineFiles, fail, warn } from './findings.ts'
import { examineSettings } from './setting-findings.ts'
import { print } from './tools.ts'
import type { Command } from 'commander'
import type { Finding, Surroundings } from './findings.ts'

const IN_MEMORY = warn('database', 'DATABASE_URL is a database in memory: it forgets everything when the service stops.')

export function addDoctor (cli: Command) {
  cli.command('doctor')
    .description('Check files, database, keys, clock and settings.')
    .action(async () => {
      const findings = await examine(process.env)
      for (const { level, about, sentence } of findings) print(`${level.padEnd(4)}  ${about.padEnd(11)}  ${sentence}`)
      if (findings.some(({ level }) => level === 'fail')) throw new CommanderError(1, 'doctor', 'A check failed.')
    })
}

/** Examines an installation, running or not, without changing it. */
export async function examine (environment: Record<string, string | undefined>, surroundings?: Partial<Surroundings>): Promise<Finding[]> {
  let config
  try {
    config = readConfig(environment)
    parseSettings(await allSettings(), environment)
  } catch (error) {
    return [fail('settings', (error as Error).message)] // a sentence, and nothing else is thrown
  }
  const settings = examineSettings(config, surroundings)
  const file = fileOf(config.databaseUrl)
  if (!file) return [...settings, IN_MEMORY]
  return [
    ...settings,
    ...examineFiles(config, file),
    ...examineDatabase(config, file, surroundings),
    ...examineDisk(file, surroundings)
  ]
}
