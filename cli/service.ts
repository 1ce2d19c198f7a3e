import { existsSync } from 'node:fs'
import Fastify from 'fastify'
import { options, plugins } from '../app.ts'
import { readConfig } from '../plugins/core/config/index.ts'
import { fileOf, isPostgres, readState } from '../plugins/core/database.ts'
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
  assertExists(config)
  const { environment, warnings } = toServiceSettings(process.env, await stateOf(config.databaseUrl))
  for (const warning of warnings) console.error(warning)
  await withService(readConfig(environment), run)
}

/** The same for the one command that may come before the first start: where there is no database, it makes what a start would make. */
export async function onNewService (run: Run<void>) {
  const config = readConfig(process.env)
  if (await isNew(config)) await withService(config, run, { isMaker: true })
  else await onService(run)
}

async function isNew (config: Config): Promise<boolean> {
  if (!isPostgres(config.databaseUrl)) return !existsSync(databaseFileOf(config))
  return await readState(config.databaseUrl).catch(() => ({})) === undefined // what cannot be read, the service says why
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

/** Ends the command when there is no file for the database. Of PostgreSQL the service says so, as it opens it. */
export function assertExists (config: Config) {
  if (!isPostgres(config.databaseUrl)) existingDatabaseOf(config)
}

/** The settings that the service recorded in a database; none where it cannot be read, which the command finds out later. */
export async function stateOf (databaseUrl: string): Promise<RecordedState> {
  return await readState(databaseUrl).catch(() => undefined) ?? {}
}
