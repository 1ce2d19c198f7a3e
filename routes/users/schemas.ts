import { Type } from 'typebox'
import { DisplayName, Email, IdParams, Role, User, Username } from '../schemas.ts'

export { NoContent, User, toUser } from '../schemas.ts'

export const UserParams = IdParams

export const UserChange = Type.Object({
  roles: Type.Optional(Type.Array(Role, { maxItems: 16, uniqueItems: true })),
  disabled: Type.Optional(Type.Boolean()),
  username: Type.Optional(Username),
  email: Type.Optional(Email),
  name: Type.Optional(Type.Union([DisplayName, Type.Null()]))
}, { additionalProperties: false, minProperties: 1, title: 'UserChange', examples: [{ roles: ['editor'] }] })

export const UsersQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ pattern: '^[\\w-]{30}$', description: 'The `next_cursor` of the page before' })),
  q: Type.Optional(Type.String({ minLength: 1, maxLength: 254, description: 'The beginning of a username or an e-mail address' }))
}, { additionalProperties: false })

export const UsersPage = Type.Object({
  users: Type.Array(User),
  next_cursor: Type.Union([Type.String(), Type.Null()])
}, { title: 'UsersPage', description: 'A page of accounts' })

/** The cursor of the page after this user: `createdAt` in 6 bytes, and the id in 16. */
export function cursorAfter ({ createdAt, id }: { createdAt: number, id: string }): string {
  const time = Buffer.alloc(6)
  time.writeUIntBE(createdAt, 0, 6)
  return Buffer.concat([time, Buffer.from(id, 'base64url')]).toString('base64url')
}

/** Reads what `cursorAfter` wrote. */
export function positionOf (cursor: string): { createdAt: number, id: string } {
  const bytes = Buffer.from(cursor, 'base64url')
  return { createdAt: bytes.readUIntBE(0, 6), id: bytes.toString('base64url', 6) }
}
