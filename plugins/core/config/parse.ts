import { parse as parseMilliseconds } from '@lukeed/ms'
import { Ajv } from 'ajv'
import { Type } from 'typebox'
import { isAddressRange, isHeaderName, isIssuer, isOrigin } from './addresses.ts'
import type { ErrorObject } from 'ajv'
import type { Static, TObject, TProperties } from 'typebox'

export type Environment = Record<string, string | undefined>

const formats = {
  secret: (value: string) => Buffer.byteLength(value) >= 32,
  'address-ranges': (value: string) => commaSeparated(value).every(isAddressRange),
  origins: (value: string) => commaSeparated(value).every(isOrigin),
  issuer: isIssuer,
  header: isHeaderName
}

/** Without checking our own schemas against JSON Schema's, which takes 30 ms of a start. */
const ajv = new Ajv({ coerceTypes: true, useDefaults: true, formats, meta: false, validateSchema: false })

/**
 * Reads settings of these names from the environment; empty variables count as absent.
 * @throws Error with `code: 'wrong_setting'` and one sentence that names the variable, what it holds and what it should hold
 */
export function parseSettings<Settings extends TProperties> (settings: Settings, environment: Environment): Static<TObject<Settings>> {
  const values: Record<string, unknown> = Object.fromEntries(Object.keys(settings).map((name) => [name, environment[name] || undefined]))
  const undecodable = Object.keys(values).find((name) => environment[name]?.includes('\ufffd')) // Node's sign for bytes that are no text
  if (undecodable) throw wrongSetting(undecodable, environment[undecodable], settings)

  const isValid = ajv.compile<Static<TObject<Settings>>>(Type.Object(settings))
  if (isValid(values)) return values
  const [{ instancePath }] = isValid.errors as [ErrorObject] // it stops at the first
  const name = instancePath.slice(1)
  throw wrongSetting(name, environment[name], settings)
}

/** The error that stops the start: one sentence that shows no secret. */
export function wrongSetting (name: string, value: string | undefined, settings: TProperties): Error {
  const { description, writeOnly } = settings[name] as { description?: string, writeOnly?: boolean } // as kinds.ts makes them
  const held = value === undefined ? 'not set' : writeOnly ? `set (${Buffer.byteLength(value)} bytes)` : `"${value}"`
  return Object.assign(new Error(`${name} is ${held} but should be ${description}.`), { code: 'wrong_setting' })
}

export function commaSeparated (value = ''): string[] {
  return value.split(',').map((item) => item.trim()).filter(Boolean)
}

export function toMilliseconds (duration: string): number {
  return parseMilliseconds(duration) ?? 0 // the package knows no 0s
}

export function toSeconds (duration: string): number {
  return toMilliseconds(duration) / 1000
}
