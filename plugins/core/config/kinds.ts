import { Type } from 'typebox'

/**
 * The kinds of settings. Each has a `description` that finishes the sentence "… but should be". A setting that may hold a
 * secret has `writeOnly: true`, and is never shown.
 */

export function oneOf<const Value extends string> (values: Value[], standard: Value) {
  return Type.Unsafe<Value>(Type.Enum(values, { default: standard, description: `one of ${values.join(', ')}` }))
}

/** A positive duration with its unit. */
export function duration (standard: string, description = 'a duration with its unit, such as 15m') {
  return Type.String({ default: standard, pattern: '^(?!0+[a-z])\\d{1,6}(s|m|h|d)$', description })
}

/** So many requests in so much time. */
export function limit (standard: string) {
  const pattern = '^[1-9]\\d{0,6}/[1-9]\\d{0,5}(s|m|h|d)$'
  return Type.String({ default: standard, pattern, description: 'a count and a duration, such as 100/1m' })
}

export function address (standard: string) {
  const description = 'an address to listen on, such as 127.0.0.1 or 0.0.0.0'
  return Type.String({ default: standard, pattern: '^[A-Za-z0-9.:_-]+$', description })
}

export function wholeNumber (minimum: number, maximum: number, standard: number, of = '') {
  return Type.Integer({ default: standard, minimum, maximum, description: `a whole number ${of}from ${minimum} to ${maximum}` })
}
