import fc from 'fast-check'
import type { Arbitrary } from 'fast-check'

/** What the document says of a value: as much of JSON Schema as is looked at here. */
export interface Schema {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  examples?: unknown[]
  minimum?: number
  maximum?: number
  maxLength?: number
}

/** What the cast may change its passwords to, or try. */
export const PASSWORDS = ['four green bicycles', 'eight purple elephants']

/** Fields whose values mean something, and what they may be: a name in braces stands for somebody's (cast.ts). */
const KNOWN: Record<string, string[]> = {
  username: ['{username}', '{email}', '{new}'],
  email: ['{email}', '{new}@example.com'],
  password: ['{password}', PASSWORDS[0]!],
  current_password: ['{password}', PASSWORDS[0]!],
  new_password: [PASSWORDS[1]!, '12345678'],
  refresh_token: ['{refresh}', '{access}', '{forged}'],
  token: ['{access}', '{refresh}', '{revoked}', '{expired}', '{forged}'],
  id: ['{userId}', '{sessionId}', '{adminId}', 'wK3l0aTqW4m1xJZr8bYcVg'],
  list: ['{list}', 'Zk3vR0aTqW4m'],
  role: ['admin', 'editor'],
  cursor: [`AZ-${'A'.repeat(27)}`, '-'.repeat(30)],
  since: ['0', '3', '999999999999999', '2026-11-21T09:30:00.000Z'],
  user: ['{userId}', '{adminId}'],
  event: ['signed_in', 'refreshed', 'revoked']
}

/** What has broken one parser, database, log or page or another. */
export const hostileText = fc.oneof(
  fc.constantFrom("' OR '1'='1", "'; DROP TABLE users; --", '"; --', '%00', '\0', 'a\nb', '\r\nset-cookie: a=b', '\x1b[31m', '\x85', '\ud800', '\udc00x', '\u202Etxt', '\uFEFF', 'ada\u3164', 'ﬁona', 'ａ@ｂ.c', 'א1.', 'cr%E8me', '100%+', 'é'.repeat(70), '🦉', '<script>alert(1)</script>', '{{7*7}}', `${'$'}{7*7}`,
    '%s%n%x', '../../../../etc/passwd', '..%2f..%2f', '/', '//', '\\', '?', '#', '__proto__', 'constructor', 'toString', 'null', 'undefined', 'NaN', 'true', '-1', '1e999', '0x10', '9007199254740993', '[]', '{}', ' ', '', 'Ⅷ', 'ﬀ', 'İ', 'ß', 'prt_', 'eyJ', '$argon2id$v=19$m=9999999,t=9,p=9$AAAA$AAAA'),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.integer({ min: 50, max: 20_000 }).map((length) => 'x'.repeat(length))
)

const hostile: Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  { weight: 2, arbitrary: fc.constantFrom(null, true, 0, -1, 0.5, 1e21, 2 ** 53, [], {}, [[[]]], ['{password}'], { length: 3 }, { $ne: null }, { toString: 1 }) },
  { weight: 1, arbitrary: fc.jsonValue() }
)

/** A value as the schema of a field of this name wants it, or nearly: where it has a pattern, by its examples. */
export function valid ({ anyOf, examples = [], items, maximum, minimum, properties, required = [], type }: Schema, name = ''): Arbitrary<unknown> {
  const known = KNOWN[name]
  if (known) return fc.constantFrom(...known)
  if (anyOf) return fc.oneof(...anyOf.map((schema) => valid(schema, name)))
  if (properties) return fc.record(Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valid(schema, name)])), { requiredKeys: required, noNullPrototype: true })
  if (items) return fc.array(valid(items), { maxLength: 3 })
  if (type === 'integer') return fc.integer({ min: minimum, max: maximum })
  if (type === 'boolean') return fc.boolean()
  if (type === 'null') return fc.constant(null)
  return fc.constantFrom(...examples, 'some text')
}

/** A valid object with one thing wrong: a field that is missing, is unknown or holds what it should not. */
function nearlyValid (schema: Schema): Arbitrary<unknown> {
  const names = Object.keys(schema.properties ?? schema.anyOf?.[0]?.properties ?? {})
  const name = fc.constantFrom(...names, 'is_admin', 'constructor', '')
  return fc.tuple(valid(schema), name, fc.option(hostile, { nil: undefined })).map(([value, name, other]) => ({ ...value as object, [name]: other }))
}

/** A body or a query: mostly as documented, often nearly so, at times anything. */
export function anyOf (schema: Schema): Arbitrary<unknown> {
  return fc.oneof({ weight: 4, arbitrary: valid(schema) }, { weight: 4, arbitrary: nearlyValid(schema) }, { weight: 1, arbitrary: hostile })
}

/** A part of a path. */
export function segment (name: string): Arbitrary<string> {
  return fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...KNOWN[name] ?? ['x']) }, { weight: 1, arbitrary: hostileText })
}
