import { Type } from 'typebox'
import { DisplayName, Email, Id, IdParams, PRINTABLE, Password, Timestamp, User, Username } from '../schemas.ts'
import type { Static } from 'typebox'
import type { Session as SessionRow } from '../../plugins/core/database.ts'

export { NoContent, User, toUser } from '../schemas.ts'

const closed = { additionalProperties: false }
const bounded = { minLength: 1, maxLength: 254, pattern: PRINTABLE }

export const Registration = Type.Object({
  username: Type.Optional(Username),
  email: Type.Optional(Email),
  password: Password,
  name: Type.Optional(DisplayName)
}, {
  ...closed,
  anyOf: [{ required: ['username'] }, { required: ['email'] }],
  description: 'At least one of username and email'
})

export const Credentials = Type.Object({
  username: Type.Optional(Type.String({ ...bounded, description: 'A username or an e-mail address', examples: ['ada'] })),
  email: Type.Optional(Type.String({ ...bounded, examples: ['ada@example.com'] })),
  password: Password
}, {
  ...closed,
  oneOf: [{ required: ['username'] }, { required: ['email'] }],
  description: 'Exactly one of username and email',
  examples: [{ username: 'ada', password: 'seven yellow umbrellas' }]
})

export const AccountChange = Type.Object({
  username: Type.Optional(Username),
  email: Type.Optional(Email),
  name: Type.Optional(Type.Union([DisplayName, Type.Null()]))
}, { ...closed, minProperties: 1 })

export const AccountDeletion = Type.Object({ password: Password }, closed)

export const PasswordChange = Type.Object({
  current_password: Password,
  new_password: Type.String({ ...Password, examples: ['eight purple elephants'] })
}, closed)

/** For clients that cannot send a refresh token as Bearer. */
export const RefreshTokenBody = Type.Optional(Type.Union([
  Type.Object({ refresh_token: Type.Optional(Type.String()) }, closed),
  Type.Null()
]))

export const Tokens = Type.Object({
  access_token: Type.String({ examples: ['eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIs…'] }),
  refresh_token: Type.String({ examples: ['prt_wK3l0aTqW4m1xJZr8bYcVgAAAAA…'] }),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ description: 'Seconds', examples: [900] }),
  refresh_token_expires_in: Type.Integer({ description: 'Seconds', examples: [2_592_000] })
})

export const SignedIn = Type.Object({ ...Tokens.properties, user: User })

export const Session = Type.Object({
  id: Id,
  created_at: Timestamp,
  last_used_at: Timestamp,
  expires_at: Timestamp,
  ip: Type.String({ examples: ['203.0.113.7'] }),
  user_agent: Type.Union([Type.String({ examples: ['curl/8.5.0'] }), Type.Null()]),
  current: Type.Boolean({ description: 'True for the session that asks' })
})

export const Sessions = Type.Object({ sessions: Type.Array(Session) })

export const SessionParams = IdParams

/** A session as its owner sees it; `currentId` is the one that asks. */
export function toSession (session: SessionRow, currentId: string): Static<typeof Session> {
  return {
    id: session.id,
    created_at: toTimestamp(session.createdAt),
    last_used_at: toTimestamp(session.lastUsedAt),
    expires_at: toTimestamp(session.expiresAt),
    ip: session.ip,
    user_agent: session.userAgent,
    current: session.id === currentId
  }
}

function toTimestamp (time: number): string {
  return new Date(time).toISOString()
}
