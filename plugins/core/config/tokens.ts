import { isIP } from 'node:net'
import { Type } from 'typebox'
import { duration, oneOf } from './kinds.ts'
import { toMilliseconds, toSeconds, wrongSetting } from './parse.ts'
import type { Static, TObject } from 'typebox'

export const tokenSettings = {
  ISSUER: Type.Optional(Type.String({
    format: 'issuer',
    description: 'the http(s) address of this service, without a user, a query, a fragment or a slash at its end'
  })),
  AUDIENCE: Type.String({ default: 'postern', pattern: '^\\S+$', description: 'a name without spaces for who accepts the access tokens' }),
  CLIENT_ID: Type.String({
    default: 'postern',
    pattern: '^\\S+$',
    description: 'a name without spaces for the client that people sign in with'
  }),
  JWT_ALGORITHM: oneOf(['ES256', 'RS256', 'PS256', 'EdDSA', 'HS256'], 'ES256'),
  JWT_SECRET: Type.Optional(Type.String({
    format: 'secret',
    writeOnly: true,
    description: 'at least 32 bytes, and set only with JWT_ALGORITHM=HS256'
  })),
  KEY_ROTATION: duration('90d'),
  KEY_PREPUBLISH: duration('24h', 'a duration with its unit, shorter than KEY_ROTATION, such as 24h'),
  ACCESS_TOKEN_TTL: duration('15m'),
  REFRESH_TOKEN_TTL: duration('30d'),
  SESSION_MAX_AGE: duration('180d'),
  REFRESH_GRACE: Type.String({
    default: '10s',
    pattern: '^\\d{1,6}(ms|s|m|h|d)$',
    description: 'a duration with its unit, such as 10s or 0s'
  }),
  ACCESS_TOKEN_HEADER: Type.Optional(Type.String({
    format: 'header',
    description: 'the name of a header, such as x-access-token'
  }))
}

/** Claims, signing keys, and the lifetimes of tokens and sessions. */
export function toTokenConfig (env: Static<TObject<typeof tokenSettings>>, { host, port }: { host: string, port: number }) {
  const usesSecret = env.JWT_ALGORITHM === 'HS256'
  if (usesSecret !== (env.JWT_SECRET !== undefined)) throw wrongSetting('JWT_SECRET', env.JWT_SECRET, tokenSettings)
  if (toMilliseconds(env.KEY_PREPUBLISH) >= toMilliseconds(env.KEY_ROTATION)) {
    throw wrongSetting('KEY_PREPUBLISH', env.KEY_PREPUBLISH, tokenSettings)
  }

  return {
    issuer: env.ISSUER ?? `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
    issuerIsChosen: env.ISSUER !== undefined,
    audience: env.AUDIENCE,
    clientId: env.CLIENT_ID,
    jwtAlgorithm: env.JWT_ALGORITHM,
    jwtSecret: env.JWT_SECRET,
    keyRotationSeconds: toSeconds(env.KEY_ROTATION),
    keyPrepublishSeconds: toSeconds(env.KEY_PREPUBLISH),
    accessTokenTtlSeconds: toSeconds(env.ACCESS_TOKEN_TTL),
    refreshTokenTtlSeconds: toSeconds(env.REFRESH_TOKEN_TTL),
    sessionMaxAgeSeconds: toSeconds(env.SESSION_MAX_AGE),
    refreshGraceSeconds: toSeconds(env.REFRESH_GRACE),
    accessTokenHeader: env.ACCESS_TOKEN_HEADER?.toLowerCase()
  }
}
