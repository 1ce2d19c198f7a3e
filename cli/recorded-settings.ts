import { randomBytes } from 'node:crypto'
import { recordedSettings } from '../plugins/core/config/index.ts'
import type { RecordedState } from '../plugins/core/database.ts'
import type { Environment } from '../plugins/core/config/parse.ts'

const NO_SECRET = 'The service signs with HS256, and JWT_SECRET is not set here: to "why" its access tokens look forged.'

/**
 * The settings that a command goes by: those that the service recorded at its last start, whatever shell the command runs in,
 * and this environment's for the rest. Gives a warning for each that is set to something else here.
 */
export function toServiceSettings (environment: Environment, state: RecordedState) {
  const recorded = Object.fromEntries(Object.entries(state).filter(([name]) => recordedSettings.includes(name)))
  const warnings = Object.entries(recorded)
    .filter(([name, value]) => environment[name] && environment[name] !== value)
    .map(([name, value]) => `${name} is "${environment[name]}" here, but ${value ? `"${value}"` : 'not set'} in the service, which counts.`)
  const { JWT_ALGORITHM: algorithm } = recorded
  if (algorithm === undefined) return { environment, warnings } // no service has started since settings are recorded

  const { JWT_SECRET: secret } = environment
  if (algorithm !== 'HS256') return { environment: { ...environment, ...recorded, JWT_SECRET: undefined }, warnings }
  if (secret) return { environment: { ...environment, ...recorded }, warnings }
  const unlike = randomBytes(32).toString('base64')
  return { environment: { ...environment, ...recorded, JWT_SECRET: unlike }, warnings: [...warnings, NO_SECRET] }
}
