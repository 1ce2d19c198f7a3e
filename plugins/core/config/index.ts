import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fp from 'fastify-plugin'
import { accountSettings, toAccountConfig } from './accounts.ts'
import { parseSettings } from './parse.ts'
import { serverSettings, toServerConfig } from './server.ts'
import { storageSettings, toStorageConfig } from './storage.ts'
import { tokenSettings, toTokenConfig } from './tokens.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Static, TObject, TProperties } from 'typebox'
import type { Environment } from './parse.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    /**
     * Reads the settings that a feature declares beside its code.
     * @throws Error with `code: 'wrong_setting'`, which stops the start
     */
    settings: <Settings extends TProperties>(settings: Settings) => Static<TObject<Settings>>
  }
}

const FEATURES = new URL('../../features/', import.meta.url)

const coreSettings = { ...serverSettings, ...storageSettings, ...tokenSettings, ...accountSettings }

const { JWT_SECRET: _secret, ...publicTokenSettings } = tokenSettings

/** The settings that decide how tokens and accounts are, and what the doctor looks at. None is a secret. */
export const recordedSettings = ['HOST', 'TRUST_PROXY', ...Object.keys({ ...publicTokenSettings, ...accountSettings })]

export type Config = ReturnType<typeof readConfig>

/**
 * Reads the core's settings once; features read their own as they start (`fastify.settings`).
 * @throws Error with `code: 'wrong_setting'` and one sentence for the operator
 */
export function readConfig (environment: Environment) {
  const env = parseSettings(coreSettings, environment)
  const server = toServerConfig(env)
  const tokens = toTokenConfig(env, server)
  const recorded = toRecorded({ ...env, ISSUER: tokens.issuer })
  return { environment, recorded, ...server, ...toStorageConfig(env), ...tokens, ...toAccountConfig(env) }
}

/** The settings that the service records for commands (service-state.ts), as variables; empty where one is not set. */
function toRecorded (values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(recordedSettings.map((name) => [name, String(values[name] ?? '')]))
}

/** Every setting there is, the features' too. Only the doctor and the tests want all of them. */
export async function allSettings (): Promise<TProperties> {
  const files = globSync('*/settings.ts', { cwd: fileURLToPath(FEATURES) })
  const modules = await Promise.all(files.map((file) => import(new URL(file, FEATURES).href) as Promise<{ settings: TProperties }>))
  return Object.assign({}, coreSettings, ...modules.map(({ settings }) => settings))
}

const config: FastifyPluginAsync<{ config: Config }> = async (fastify, { config }) => {
  fastify.decorate('config', config)
  fastify.decorate('settings', (settings) => parseSettings(settings, config.environment))
}

export default fp(config, { name: 'config' })
