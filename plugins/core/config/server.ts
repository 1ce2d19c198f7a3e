import { Type } from 'typebox'
import { address, oneOf, wholeNumber } from './kinds.ts'
import { commaSeparated } from './parse.ts'
import type { Static, TObject } from 'typebox'

export const serverSettings = {
  HOST: address('127.0.0.1'),
  PORT: Type.Integer({ default: 3000, minimum: 0, maximum: 65_535, description: 'a port from 0 (any free one) to 65535' }),
  WORKERS: wholeNumber(1, 64, 1, 'of processes '),
  MAX_CONNECTIONS: wholeNumber(1, 1_000_000, 10_000, 'of connections '),
  TRUST_PROXY: Type.Optional(Type.String({
    format: 'address-ranges',
    description: 'addresses or CIDR ranges separated by commas, such as 10.0.0.0/8,::1'
  })),
  CORS_ORIGIN: Type.Optional(Type.String({
    format: 'origins',
    description: 'origins separated by commas, such as https://app.example.com'
  })),
  HSTS: Type.Optional(Type.String({
    pattern: '^(off|max-age=\\d{1,10}(; includeSubDomains)?(; preload)?)$',
    description: 'off, or max-age= and seconds, with "; includeSubDomains" where every sub-domain has https'
  })),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info')
}

const OFF = 'off'
const YEAR_OF_HTTPS = 'max-age=31536000'

/** Where the service listens, how much it accepts, and whom it believes. */
export function toServerConfig (env: Static<TObject<typeof serverSettings>> & { ISSUER?: string }) {
  return {
    host: env.HOST,
    port: env.PORT,
    workers: env.WORKERS,
    maxConnections: env.MAX_CONNECTIONS,
    trustProxy: commaSeparated(env.TRUST_PROXY),
    corsOrigins: commaSeparated(env.CORS_ORIGIN),
    hsts: toHsts(env.HSTS ?? (/^https:/i.test(env.ISSUER ?? '') ? YEAR_OF_HTTPS : OFF)),
    logLevel: env.LOG_LEVEL
  }
}

function toHsts (setting: string): string | undefined {
  return setting === OFF ? undefined : setting
}
