import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { parse as parseMilliseconds } from '@lukeed/ms'
import { Ajv } from 'ajv'
import fp from 'fastify-plugin'
import { Type } from 'typebox'
import type { ErrorObject } from 'ajv'
import type { FastifyPluginAsync } from 'fastify'
import type { Static } from 'typebox'

declare module 'fastify' {
  interface FastifyInstance { config: Config }
}

/** Every variable that Postern reads. A `description` finishes the sentence "… but should be". */
export const Environment = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', pattern: '^[A-Za-z0-9.:_-]+$', description: 'an address to listen on, such as 127.0.0.1 or 0.0.0.0' }),
  PORT: Type.Integer({ default: 3000, minimum: 0, maximum: 65_535, description: 'a port from 0 (any free one) to 65535' }),
  WORKERS: Type.Integer({ default: 1, minimum: 1, maximum: 64, description: 'a whole number of processes from 1 to 64' }),
  MAX_CONNECTIONS: Type.Integer({ default: 10_000, minimum: 1, maximum: 1_000_000, description: 'a whole number of connections from 1 to 1000000' }),
  DATABASE_URL: Type.String({ default: 'file:data/postern.db', pattern: '^file:.+', description: 'file: and a path, or file::memory:' }),
  ISSUER: Type.Optional(Type.String({ pattern: '^https?://[^\\s/?#]+[^\\s?#]*$', description: 'the http(s) address of this service, without query or fragment' })),
  AUDIENCE: Type.String({ default: 'postern', pattern: '^\\S+$', description: 'a name without spaces for who accepts the access tokens' }),
  CLIENT_ID: Type.String({ default: 'postern', pattern: '^\\S+$', description: 'a name without spaces for the client that people sign in with' }),
  JWT_ALGORITHM: oneOf(['ES256', 'RS256', 'PS256', 'EdDSA', 'HS256'], 'ES256'),
  JWT_SECRET: Type.Optional(Type.String({ format: 'secret', description: 'at least 32 bytes, and set only with JWT_ALGORITHM=HS256' })),
  MASTER_KEY: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9+/]{43}=$', description: '32 random bytes in base64 ("openssl rand -base64 32" makes them)' })),
  ACCESS_TOKEN_TTL: duration('15m'),
  REFRESH_TOKEN_TTL: duration('30d'),
  SESSION_MAX_AGE: duration('180d'),
  REFRESH_GRACE: Type.String({ default: '10s', pattern: '^\\d{1,6}(ms|s|m|h|d)$', description: 'a duration with its unit, such as 10s or 0s' }),
  KEY_ROTATION: duration('90d'),
  KEY_PREPUBLISH: duration('24h', 'a duration with its unit, shorter than KEY_ROTATION, such as 24h'),
  STATUS_LIST_TTL: duration('15s'),
  AUDIT_RETENTION: duration('90d'),
  AUDIT_REFRESHES: oneOf(['on', 'off'], 'off'),
  VERIFY_PREFLIGHT: oneOf(['refuse', 'allow'], 'refuse'),
  ACCESS_TOKEN_HEADER: Type.Optional(Type.String({ pattern: '^[A-Za-z][A-Za-z0-9-]*$', description: 'the name of a header, such as x-access-token' })),
  PASSWORD_MIN_LENGTH: Type.Integer({ default: 8, minimum: 8, maximum: 64, description: 'a whole number from 8 to 64' }),
  ARGON2_MEMORY_KIB: Type.Integer({ default: 19_456, minimum: 1024, maximum: 262_144, description: 'a whole number of KiB from 1024 to 262144' }),
  ARGON2_TIME_COST: Type.Integer({ default: 2, minimum: 1, maximum: 10, description: 'a whole number from 1 to 10' }),
  ARGON2_THREADS: Type.Integer({ default: Math.min(Math.max(1, availableParallelism() - 1), 64), minimum: 1, maximum: 64, description: 'a whole number from 1 to 64' }),
  ARGON2_QUEUE: Type.Integer({ default: 64, minimum: 1, maximum: 10_000, description: 'a whole number from 1 to 10000' }),
  RATE_LIMIT: oneOf(['on', 'off'], 'on'),
  RATE_LIMIT_ADDRESS: limit('100/1m'),
  RATE_LIMIT_GUESSES: limit('50/5m'),
  RATE_LIMIT_ACCOUNT: limit('10/15m'),
  RATE_LIMIT_PAIR: limit('5/15m'),
  TRUST_PROXY: Type.Optional(Type.String({ format: 'address-ranges', description: 'addresses or CIDR ranges separated by commas, such as 10.0.0.0/8,::1' })),
  CORS_ORIGIN: Type.Optional(Type.String({ format: 'origins', description: 'origins separated by commas, such as https://app.example.com' })),
  METRICS_PORT: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, description: 'a port from 0 (any free one) to 65535, another than PORT' })),
  METRICS_HOST: Type.String({ default: '127.0.0.1', pattern: '^[A-Za-z0-9.:_-]+$', description: 'an address to listen on, such as 127.0.0.1 or 0.0.0.0' }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(Type.String({ pattern: '^https?://[^\\s/?#]+[^\\s?#]*$', description: 'the http(s) address of a collector, such as http://127.0.0.1:4318' })),
  OTEL_SERVICE_NAME: Type.String({ default: 'postern', pattern: '^\\S+$', description: 'a name without spaces' }),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
  DOCS: oneOf(['on', 'off'], 'on'),
  REGISTRATION: oneOf(['open', 'closed'], 'open')
})

const formats = {
  secret: (value: string) => Buffer.byteLength(value) >= 32,
  'address-ranges': (value: string) => commaSeparated(value).every(isAddressRange),
  origins: (value: string) => commaSeparated(value).every(isOrigin)
}

export type Config = ReturnType<typeof readConfig>

/**
 * The settings of one service, read once from `environment`; empty variables count as absent.
 * @throws Error with `code: 'wrong_setting'` and one sentence that names the variable, what it holds and what it should hold.
 */
export function readConfig (environment: Record<string, string | undefined>) {
  const env = validated(environment)
  const usesSecret = env.JWT_ALGORITHM === 'HS256'
  if (usesSecret !== (env.JWT_SECRET !== undefined)) throw wrongSetting('JWT_SECRET', env.JWT_SECRET)
  if (milliseconds(env.KEY_PREPUBLISH) >= milliseconds(env.KEY_ROTATION)) throw wrongSetting('KEY_PREPUBLISH', env.KEY_PREPUBLISH)

  return {
    host: env.HOST,
    port: env.PORT,
    workers: env.WORKERS,
    maxConnections: env.MAX_CONNECTIONS,
    databaseUrl: env.DATABASE_URL,
    issuer: env.ISSUER ?? `http://${isIP(env.HOST) === 6 ? `[${env.HOST}]` : env.HOST}:${env.PORT}`,
    issuerIsChosen: env.ISSUER !== undefined,
    audience: env.AUDIENCE,
    clientId: env.CLIENT_ID,
    jwtAlgorithm: env.JWT_ALGORITHM,
    jwtSecret: env.JWT_SECRET,
    masterKey: env.MASTER_KEY,
    accessTokenTtlSeconds: seconds(env.ACCESS_TOKEN_TTL),
    refreshTokenTtlSeconds: seconds(env.REFRESH_TOKEN_TTL),
    sessionMaxAgeSeconds: seconds(env.SESSION_MAX_AGE),
    refreshGraceSeconds: seconds(env.REFRESH_GRACE),
    keyRotationSeconds: seconds(env.KEY_ROTATION),
    keyPrepublishSeconds: seconds(env.KEY_PREPUBLISH),
    statusListTtlSeconds: seconds(env.STATUS_LIST_TTL),
    auditRetentionSeconds: seconds(env.AUDIT_RETENTION),
    auditsRefreshes: env.AUDIT_REFRESHES === 'on',
    verifyLetsPreflightsThrough: env.VERIFY_PREFLIGHT === 'allow',
    accessTokenHeader: env.ACCESS_TOKEN_HEADER?.toLowerCase(),
    passwordMinLength: env.PASSWORD_MIN_LENGTH,
    argon2: {
      memoryCost: env.ARGON2_MEMORY_KIB,
      timeCost: env.ARGON2_TIME_COST,
      threads: env.ARGON2_THREADS,
      queue: env.ARGON2_QUEUE
    },
    rateLimit: env.RATE_LIMIT === 'on' && {
      address: windowOf(env.RATE_LIMIT_ADDRESS),
      guesses: windowOf(env.RATE_LIMIT_GUESSES),
      account: windowOf(env.RATE_LIMIT_ACCOUNT),
      pair: windowOf(env.RATE_LIMIT_PAIR)
    },
    trustProxy: commaSeparated(env.TRUST_PROXY),
    corsOrigins: commaSeparated(env.CORS_ORIGIN),
    metrics: env.METRICS_PORT === undefined ? undefined : { host: env.METRICS_HOST, port: env.METRICS_PORT },
    tracing: env.OTEL_EXPORTER_OTLP_ENDPOINT === undefined ? undefined : { endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT, serviceName: env.OTEL_SERVICE_NAME },
    logLevel: env.LOG_LEVEL,
    docs: env.DOCS === 'on',
    registrationIsOpen: env.REGISTRATION === 'open'
  }
}

const isEnvironment = new Ajv({ coerceTypes: true, useDefaults: true, formats, meta: false, validateSchema: false, code: { optimize: false } })
  .compile<Static<typeof Environment>>(Environment)

function validated (environment: Record<string, string | undefined>): Static<typeof Environment> {
  const settings: Record<string, unknown> = Object.fromEntries(Object.entries(environment).filter(([, value]) => value))
  if (isEnvironment(settings)) return settings
  const [{ instancePath }] = isEnvironment.errors as [ErrorObject] // it stops at the first
  const name = instancePath.slice(1) as keyof typeof Environment.properties
  throw wrongSetting(name, environment[name])
}

function wrongSetting (name: keyof typeof Environment.properties, value: string | undefined): Error {
  const { description } = (Environment.properties as Record<typeof name, { description?: string }>)[name]
  const isSecret = name === 'JWT_SECRET' || name === 'MASTER_KEY'
  const held = value === undefined ? 'not set' : isSecret ? `set (${Buffer.byteLength(value)} bytes)` : `"${value}"`
  return Object.assign(new Error(`${name} is ${held} but should be ${description}.`), { code: 'wrong_setting' })
}

function oneOf<const Value extends string> (values: Value[], standard: Value) {
  return Type.Unsafe<Value>(Type.Enum(values, { default: standard, description: `one of ${values.join(', ')}` }))
}

function duration (standard: string, description = 'a duration with its unit, such as 15m') {
  return Type.String({ default: standard, pattern: '^(?!0+[a-z])\\d{1,6}(s|m|h|d)$', description })
}

function limit (standard: string) {
  return Type.String({ default: standard, pattern: '^[1-9]\\d{0,6}/[1-9]\\d{0,5}(s|m|h|d)$', description: 'a count and a duration, such as 100/1m' })
}

function seconds (duration: string): number {
  return milliseconds(duration) / 1000
}

function milliseconds (duration: string): number {
  return parseMilliseconds(duration) ?? 0 // the package knows no 0s
}

function windowOf (limit: string) {
  const [max = '', window = ''] = limit.split('/')
  return { max: Number(max), windowMilliseconds: milliseconds(window) }
}

function commaSeparated (value = ''): string[] {
  return value.split(',').map((item) => item.trim()).filter(Boolean)
}

function isAddressRange (value: string): boolean {
  const [address = '', prefix = '0', ...rest] = value.split('/')
  const version = isIP(address)
  return version !== 0 && rest.length === 0 && /^\d+$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128)
}

function isOrigin (value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value
}

/** Makes the settings `fastify.config`. They were read before the server was made, because some are the server's own options. */
const config: FastifyPluginAsync<{ config: Config }> = async (fastify, options) => {
  fastify.decorate('config', options.config)
}

export default fp(config, { name: 'config' })
