import { existsSync } from 'node:fs'
import { CommanderError } from 'commander'
import { findMisspelt, loadEnvFile } from '../plugins/core/config/env-file.ts'
import { allSettings, readConfig } from '../plugins/core/config/index.ts'
import { parseSettings } from '../plugins/core/config/parse.ts'
import { fileOf, isPostgres } from '../plugins/core/database.ts'
import { examineDatabase } from './database-findings.ts'
import { examineDisk, examineFiles, fail, warn } from './findings.ts'
import { print } from './output.ts'
import { toServiceSettings } from './recorded-settings.ts'
import { stateOf } from './service.ts'
import { examineSettings } from './setting-findings.ts'
import type { Command } from 'commander'
import type { Environment } from '../plugins/core/config/parse.ts'
import type { Finding, Surroundings } from './findings.ts'

const IN_MEMORY = warn('database', 'DATABASE_URL is a database in memory: it forgets everything when the service stops.')

export function addDoctor (cli: Command) {
  cli.command('doctor')
    .description('Check files, database, keys, clock and settings.')
    .action(async () => {
      const findings = await examine(process.env, { namesInEnvFile: loadEnvFile() })
      for (const { level, about, sentence } of findings) print(`${level.padEnd(4)}  ${about.padEnd(11)}  ${sentence}`)
      if (findings.some(({ level }) => level === 'fail')) throw new CommanderError(1, 'doctor', 'A check failed.')
    })
}

/** Examines an installation, running or not, without changing it: by the settings of the service, where they are recorded. */
export async function examine (environment: Environment, surroundings: Partial<Surroundings> = {}): Promise<Finding[]> {
  let config, misspelt
  try {
    config = readConfig(environment)
    const settings = await allSettings()
    parseSettings(settings, environment)
    misspelt = findMisspelt(surroundings.namesInEnvFile ?? [], Object.keys(settings))
  } catch (error) {
    return [fail('settings', (error as Error).message)] // a sentence, and nothing else is thrown
  }
  const { databaseUrl } = config
  const file = isPostgres(databaseUrl) ? undefined : fileOf(databaseUrl)
  const state = isPostgres(databaseUrl) || (file !== undefined && existsSync(file)) ? await stateOf(databaseUrl) : {}
  const { environment: counting, warnings } = toServiceSettings(environment, state)
  const settings = [
    ...[...misspelt, ...warnings].map((sentence) => warn('settings', sentence)),
    ...examineSettings(readConfig(counting), surroundings, state)
  ]
  if (isPostgres(databaseUrl)) {
    const { examineServer } = await import('./server-findings.ts')
    return [...settings, ...await examineServer(config, surroundings)]
  }
  if (!file) return [...settings, IN_MEMORY]
  return [
    ...settings,
    ...examineFiles(config, file),
    ...examineDatabase(config, file, surroundings),
    ...examineDisk(file, surroundings)
  ]
}
