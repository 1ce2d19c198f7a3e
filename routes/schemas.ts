import { Type } from 'typebox'
import type { Static } from 'typebox'

/** No control characters and no halves of characters. */
export const PRINTABLE = '^[^\\p{Cc}\\p{Cs}]*$'

const ID_EXAMPLES = ['wK3l0aTqW4m1xJZr8bYcVg']

export const Id = Type.String({ pattern: '^[\\w-]{22}$', examples: ID_EXAMPLES })

/** Not held to the form of an id: what is the id of nothing is not found, whatever it looks like. */
export const IdParams = Type.Object({ id: Type.String({ examples: ID_EXAMPLES }) })

/** RFC 8265, without the @ that tells an e-mail address, and without what is only good for mischief. */
export const Username = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[\\p{L}\\p{N}][\\p{L}\\p{M}\\p{N}._+-]*$',
  description: 'Letters, digits and ._+- in any script; compared without regard to case',
  examples: ['ada']
})

export const Email = Type.String({
  minLength: 3,
  maxLength: 254,
  pattern: '^\\s*[\\p{L}\\p{N}_.+%\'-]{1,64}@[\\p{L}\\p{N}-]+(\\.[\\p{L}\\p{N}-]+)+\\s*$',
  description: 'Compared in lower case',
  examples: ['ada@example.com']
})

export const DisplayName = Type.String({
  minLength: 1,
  maxLength: 128,
  pattern: '^[\\p{L}\\p{N}][\\p{L}\\p{M}\\p{N} .,\'’()&-]*$',
  description: 'A name to show',
  examples: ['Ada Lovelace']
})

/** Bounded here; how good it must be is the policy's affair (plugins/passwords.ts). */
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

export const Role = Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$', examples: ['admin'] })

export const User = Type.Object({
  id: Id,
  username: Nullable(Type.String({ examples: ['ada'] })),
  email: Nullable(Type.String({ examples: ['ada@example.com'] })),
  name: Nullable(Type.String({ examples: ['Ada Lovelace'] })),
  roles: Type.Array(Type.String(), { examples: [['admin']] }),
  disabled: Type.Boolean(),
  created_at: Timestamp
})

interface UserRow {
  id: string
  username: string | null
  email: string | null
  name: string | null
  roles: string[]
  disabled: boolean
  createdAt: number
}

/** An account as it is shown to those who may see it. */
export function toUser ({ id, username, email, name, roles, disabled, createdAt }: UserRow): Static<typeof User> {
  return { id, username, email, name, roles, disabled, created_at: new Date(createdAt).toISOString() }
}
