import { CommanderError } from 'commander'
import { fileOf } from '../db/index.ts'
import { readConfig } from '../plugins/config.ts'
import { examineDatabase, examineDisk, examineFiles, examineSettings } from './findings.ts'
import type { Command } from 'commander'
import type { Finding, Surroundings } from './findings.ts'

export function addDoctor (cli: Command) {
  cli.command('doctor')
    .description('look for what is wrong, or will be: files, database, keys, clock, settings')
    .action(() => {
      const findings = examine(process.env)
      for (const { level, about, sentence } of findings) console.log(`${level.padEnd(4)}  ${about.padEnd(11)}  ${sentence}`)
      if (findings.some(({ level }) => level === 'fail')) throw new CommanderError(1, 'doctor', 'Something is broken, as was said.')
    })
}

/** Everything that can be said of an installation without changing it, running or not. */
export function examine (environment: Record<string, string | undefined>, surroundings?: Partial<Surroundings>): Finding[] {
  let config
  try {
    config = readConfig(environment)
  } catch (error) {
    return [{ level: 'fail', about: 'settings', sentence: (error as Error).message }] // a sentence, and nothing else is thrown
  }
  const settings = examineSettings(config, surroundings)
  const file = fileOf(config.databaseUrl)
  if (!file) return [...settings, { level: 'warn', about: 'database', sentence: 'DATABASE_URL is a database in memory: it forgets everything when the service stops.' }]
  return [...settings, ...examineFiles(config, file), ...examineDatabase(config, file, surroundings), ...examineDisk(file, surroundings)]
}
