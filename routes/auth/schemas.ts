import { Type } from 'typebox'
import { DisplayName, Email, Id, IdParams, PRINTABLE, Password, Timestamp, User, Username } from '../schemas.ts'
import type { Static } from 'typebox'
import type { SessionSummary } from '../../plugins/core/database.ts'

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
  title: 'Registration',
  anyOf: [{ required: ['username'] }, { required: ['email'] }],
  description: 'At least one of username and email',
  examples: [{ username: 'newcomer', password: 'seven yellow umbrellas' }]
})

export const Credentials = Type.Object({
  username: Type.Optional(Type.String({ ...bounded, description: 'A username or an e-mail address', examples: ['ada'] })),
  email: Type.Optional(Type.String({ ...bounded, examples: ['ada@example.com'] })),
  password: Password
}, {
  ...closed,
  title: 'Credentials',
  oneOf: [{ required: ['username'] }, { required: ['email'] }],
  description: 'Exactly one of username and email',
  examples: [{ username: 'newcomer', password: 'seven yellow umbrellas' }]
})

export const AccountChange = Type.Object({
  username: Type.Optional(Username),
  email: Type.Optional(Email),
  name: Type.Optional(Type.Union([DisplayName, Type.Null()])),
  password: Type.Optional(Password)
}, { ...closed, title: 'AccountChange', minProperties: 1, examples: [{ name: 'Ada King' }] })

export const AccountDeletion = Type.Object({ password: Password }, { ...closed, title: 'AccountDeletion' })

export const PasswordChange = Type.Object({
  current_password: Password,
  new_password: Type.String({ ...Password, examples: ['eight purple elephants'] })
}, { ...closed, title: 'PasswordChange' })

const RefreshToken = Type.String({ examples: ['prt_wK3l0aTqW4m1xJZr8bYcVgAAAAA…'] })

/** For clients that cannot send a refresh token as Bearer. */
export const RefreshTokenBody = Type.Optional(Type.Union([
  Type.Object({ refresh_token: Type.Optional(RefreshToken) }, { ...closed, title: 'RefreshTokenBody', examples: [{}] }),
  Type.Null()
]))

export const Tokens = Type.Object({
  access_token: Type.String({ examples: ['eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIs…'] }),
  refresh_token: RefreshToken,
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer({ description: 'Seconds', examples: [900] }),
  refresh_token_expires_in: Type.Integer({ description: 'Seconds', examples: [2_592_000] })
}, { title: 'Tokens', description: 'A new pair of tokens' })

export const SignedIn = Type.Object({ ...Tokens.properties, user: User }, {
  title: 'SignedIn',
  description: 'Signed in: a pair of tokens, and the account'
})

export const Session = Type.Object({
  id: Id,
  created_at: Timestamp,
  last_used_at: Timestamp,
  expires_at: Timestamp,
  ip: Type.String({ examples: ['203.0.113.7'] }),
  user_agent: Type.Union([Type.String({ examples: ['curl/8.5.0'] }), Type.Null()]),
  current: Type.Boolean({ description: 'True for the session that asks' })
}, { title: 'Session', description: 'One sign-in on one device' })

export const Sessions = Type.Object({ sessions: Type.Array(Session) }, { title: 'Sessions', description: 'Your live sessions' })

export const SessionParams = IdParams

/** A session as its owner sees it; `currentId` is the one that asks. */
export function toSession (session: SessionSummary, currentId: string): Static<typeof Session> {
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
