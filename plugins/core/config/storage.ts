import { Type } from 'typebox'
import { duration, oneOf } from './kinds.ts'
import { toSeconds } from './parse.ts'
import type { Static, TObject } from 'typebox'

export const storageSettings = {
  DATABASE_URL: Type.String({
    default: 'file:data/postern.db',
    pattern: '^file:[^?]+$',
    description: 'file: and a path without a question mark, or file::memory:'
  }),
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
    masterKey: env.MASTER_KEY,
    auditRetentionSeconds: toSeconds(env.AUDIT_RETENTION),
    auditsRefreshes: env.AUDIT_REFRESHES === 'on'
  }
}
