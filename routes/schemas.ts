import { Type } from 'typebox'
import type { Static } from 'typebox'
import type { User as UserRow } from '../plugins/core/database.ts'

/** No control characters and no halves of characters. */
export const PRINTABLE = '^[^\\p{Cc}\\p{Cs}]*$'

const ID_EXAMPLES = ['wK3l0aTqW4m1xJZr8bYcVg']

export const Id = Type.String({ pattern: '^[\\w-]{22}$', examples: ID_EXAMPLES })

/** Of any form: what is no id is not found. */
export const IdParams = Type.Object({ id: Type.String({ examples: ID_EXAMPLES }) })

/** RFC 8265, without the @ of an e-mail address (plugins/accounts/name-formats.ts). */
export const Username = Type.String({
  minLength: 1,
  maxLength: 64,
  format: 'username',
  description: 'begins with a letter or a digit; letters and digits of any script, and ._+-; case does not matter',
  examples: ['ada']
})

export const Email = Type.String({
  minLength: 3,
  maxLength: 254,
  format: 'email-address',
  description: 'an e-mail address of any script; case does not matter',
  examples: ['ada@example.com']
})

export const DisplayName = Type.String({
  minLength: 1,
  maxLength: 128,
  format: 'display-name',
  description: 'a display name: any text that can be seen, on one line',
  examples: ['Ada Lovelace']
})

/** Bounded in length here. The policy decides whether a new one is strong enough (plugins/accounts/passwords/policy.ts). */
export const Password = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: PRINTABLE,
  format: 'password',
  examples: ['seven yellow umbrellas']
})

export const NoContent = Type.Null({ description: 'Done' })

const Nullable = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()])

export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-21T09:30:00.000Z'] })

export const Role = Type.String({
  pattern: '^[a-z][a-z0-9_-]{0,31}$',
  description: 'lower-case letters, digits, _ and -, 32 at most, the first of them a letter',
  examples: ['admin']
})

export const User = Type.Object({
  id: Id,
  username: Nullable(Type.String({ examples: ['ada'] })),
  email: Nullable(Type.String({ examples: ['ada@example.com'] })),
  name: Nullable(Type.String({ examples: ['Ada Lovelace'] })),
  roles: Type.Array(Type.String(), { examples: [[]] }),
  disabled: Type.Boolean({ examples: [false] }),
  created_at: Timestamp
}, { title: 'User', description: 'An account' })

/** An account as an answer shows it. */
export function toUser ({ id, username, email, name, roles, disabled, createdAt }: UserRow): Static<typeof User> {
  return { id, username, email, name, roles, disabled, created_at: new Date(createdAt).toISOString() }
}
