import { Type } from 'typebox'

/** RFC 7662, section 2.1, and RFC 7009, section 2.1. Unknown parameters are ignored, as RFC 6749 demands. */
export const TokenRequest = Type.Object({
  token: Type.String({ minLength: 1, maxLength: 8192, examples: ['eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIs…'] }),
  token_type_hint: Type.Optional(Type.String({ examples: ['access_token'] })),
  client_id: Type.Optional(Type.String({ description: 'For clients that cannot send HTTP Basic' })),
  client_secret: Type.Optional(Type.String({ description: 'For clients that cannot send HTTP Basic' }))
}, {
  title: 'TokenRequest',
  description: 'A form as the RFC says (`application/x-www-form-urlencoded`), or JSON',
  examples: [{ token: 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIs…' }]
})

/** RFC 7662, section 2.2. */
export const Introspection = Type.Object({
  active: Type.Boolean(),
  token_type: Type.Optional(Type.String({ examples: ['Bearer'] })),
  iss: Type.Optional(Type.String()),
  aud: Type.Optional(Type.String()),
  sub: Type.Optional(Type.String()),
  client_id: Type.Optional(Type.String()),
  iat: Type.Optional(Type.Integer()),
  exp: Type.Optional(Type.Integer()),
  jti: Type.Optional(Type.String()),
  sid: Type.Optional(Type.String()),
  roles: Type.Optional(Type.Array(Type.String())),
  auth_time: Type.Optional(Type.Integer())
}, {
  additionalProperties: true,
  title: 'Introspection',
  description: 'The claims of a good token, those of features too; of any other only that it is not active'
})

export const Revoked = Type.Null({ description: 'The token is invalid now' })
