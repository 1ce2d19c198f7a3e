import { Type } from 'typebox'
import { duration, oneOf, wholeNumber } from './kinds.ts'
import { toSeconds } from './parse.ts'
import type { Static, TObject } from 'typebox'

export const storageSettings = {
  DATABASE_URL: Type.String({
    default: 'file:data/postern.db',
    pattern: '^(file:[^?]+|postgres(ql)?://\\S+)$',
    writeOnly: true,
    description: 'file: and a path without a question mark, or postgres://user:password@host:5432/database'
  }),
  DATABASE_CONNECTIONS: wholeNumber(1, 1000, 10),
  REVOCATION_LEASE: Type.String({
    default: '5s',
    pattern: '^([1-9]|[12]\\d|30)s$',
    description: 'a duration from 1s to 30s'
  }),
  REVOCATION_BLIND: oneOf(['refuse', 'allow'], 'refuse'),
  MASTER_KEY: Type.Optional(Type.String({
    pattern: '^[A-Za-z0-9+/]{43}=$',
    writeOnly: true,
    description: '32 random bytes in base64 ("openssl rand -base64 32" makes them)'
  })),
  AUDIT_RETENTION: duration('90d'),
  AUDIT_REFRESHES: oneOf(['on', 'off'], 'off')
}

/** Where everything is kept, under which key, and for how long. */
export function toStorageConfig (env: Static<TObject<typeof storageSettings>>) {
  return {
    databaseUrl: env.DATABASE_URL,
    databaseConnections: env.DATABASE_CONNECTIONS,
    revocationLeaseSeconds: toSeconds(env.REVOCATION_LEASE),
    isBlindAllowed: env.REVOCATION_BLIND === 'allow',
    masterKey: env.MASTER_KEY,
    auditRetentionSeconds: toSeconds(env.AUDIT_RETENTION),
    auditsRefreshes: env.AUDIT_REFRESHES === 'on'
  }
}
