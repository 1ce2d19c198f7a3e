import { existsSync } from 'node:fs'
import Fastify from 'fastify'
import { options, plugins } from '../app.ts'
import { readConfig } from '../plugins/core/config/index.ts'
import { fileOf, readRecordedState } from '../plugins/core/database.ts'
import { AS_SERVICE, isForbidden } from './access.ts'
import { refuse } from './output.ts'
import { toServiceSettings } from './recorded-settings.ts'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../plugins/core/config/index.ts'
import type { RecordedState } from '../plugins/core/database.ts'

type Run<Answer> = (service: FastifyInstance) => Promise<Answer>

/**
 * Runs a command on the service's own plugins, without a server, by the settings that the service recorded. It makes nothing:
 * no database, no migration, no key.
 */
export async function onService (run: Run<void>) {
  const config = readConfig(process.env)
  const state = stateOf(existingDatabaseOf(config))
  const { environment, warnings } = toServiceSettings(process.env, state)
  for (const warning of warnings) console.error(warning)
  await withService(readConfig(environment), run)
}

/** The same for the one command that may come before the first start: where there is no database, it makes what a start would make. */
export async function onNewService (run: Run<void>) {
  const config = readConfig(process.env)
  if (existsSync(databaseFileOf(config))) await onService(run)
  else await withService(config, run, { isMaker: true })
}

/** Runs a command on the service's own plugins, with settings of its own. */
export async function withService<Answer> (config: Config, run: Run<Answer>, { isMaker = false } = {}): Promise<Answer> {
  const service = Fastify(options())
  try {
    await service.register(plugins, { config, isServing: false, isMaker })
    await service.ready()
    return await run(service)
  } finally {
    await service.close()
  }
}

/** The file of the database. Ends the command when the database is in memory, or belongs to another user. */
export function databaseFileOf ({ databaseUrl }: Config): string {
  const file = fileOf(databaseUrl) ?? refuse('DATABASE_URL is a database in memory: there is no file.')
  if (isForbidden(file)) refuse(`This user may not use ${file}. ${AS_SERVICE}`)
  return file
}

/** The same. Ends the command when there is no such file. */
export function existingDatabaseOf (config: Config): string {
  const file = databaseFileOf(config)
  if (!existsSync(file)) refuse(`There is no database ${file}. Start the service once, or set DATABASE_URL as the service has it.`)
  return file
}

/** The settings that the service recorded in a database; none in a file that is no database, which the command finds out later. */
export function stateOf (file: string): RecordedState {
  try {
    return readRecordedState(file)
  } catch {
    return {}
  }
}
