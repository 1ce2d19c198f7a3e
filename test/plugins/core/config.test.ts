import t from 'tap'
import { allSettings, readConfig } from '../../../plugins/core/config/index.ts'

const SECRET = 'thirty-two bytes, or a few more of them'

t.test('readConfig', async (t) => {
  t.test('has a default for everything', async (t) => {
    const config = readConfig({})

    t.match(config, {
      host: '127.0.0.1',
      port: 3000,
      workers: 1,
      databaseUrl: 'file:data/postern.db',
      databaseConnections: 10,
      revocationLeaseSeconds: 5,
      isBlindAllowed: false,
      issuer: 'http://127.0.0.1:3000',
      issuerIsChosen: false,
      audience: 'postern',
      clientId: 'postern',
      jwtAlgorithm: 'ES256',
      jwtSecret: undefined,
      masterKey: undefined,
      accessTokenTtlSeconds: 900,
      refreshTokenTtlSeconds: 2_592_000,
      sessionMaxAgeSeconds: 15_552_000,
      refreshGraceSeconds: 10,
      keyRotationSeconds: 90 * 86_400,
      keyPrepublishSeconds: 86_400,
      accessTokenHeader: undefined,
      passwordMinLength: 8,
      argon2: { memoryCost: 19_456, timeCost: 2, queue: 64 },
      rateLimit: {
        address: { max: 100, windowMilliseconds: 60_000 },
        guesses: { max: 50, windowMilliseconds: 300_000 },
        account: { max: 10, windowMilliseconds: 900_000 },
        pair: { max: 5, windowMilliseconds: 900_000 }
      },
      trustProxy: [],
      corsOrigins: [],
      logLevel: 'info',
      registrationIsOpen: true
    })
  })

  t.test('takes what is set', async (t) => {
    const config = readConfig({
      ISSUER: 'https://id.example.com/auth',
      JWT_ALGORITHM: 'HS256',
      JWT_SECRET: SECRET,
      REFRESH_GRACE: '0ms',
      ACCESS_TOKEN_TTL: '90s',
      REFRESH_TOKEN_TTL: '2h',
      KEY_ROTATION: '30d',
      KEY_PREPUBLISH: '2h',
      WORKERS: '4',
      DATABASE_URL: 'postgresql://ada@localhost:5433/postern?sslmode=disable',
      DATABASE_CONNECTIONS: '20',
      REVOCATION_LEASE: '30s',
      REVOCATION_BLIND: 'allow',
      ACCESS_TOKEN_HEADER: 'X-Access-Token',
      RATE_LIMIT: 'off',
      TRUST_PROXY: '10.0.0.0/8, ::1 ,192.168.0.7',
      CORS_ORIGIN: 'https://app.example.com,http://localhost:5173',
      REGISTRATION: 'closed'
    })

    t.match(config, {
      issuer: 'https://id.example.com/auth',
      issuerIsChosen: true,
      jwtAlgorithm: 'HS256',
      jwtSecret: SECRET,
      refreshGraceSeconds: 0,
      accessTokenTtlSeconds: 90,
      refreshTokenTtlSeconds: 7200,
      keyRotationSeconds: 30 * 86_400,
      keyPrepublishSeconds: 7200,
      workers: 4,
      databaseUrl: 'postgresql://ada@localhost:5433/postern?sslmode=disable',
      databaseConnections: 20,
      revocationLeaseSeconds: 30,
      isBlindAllowed: true,
      accessTokenHeader: 'x-access-token',
      rateLimit: false,
      trustProxy: ['10.0.0.0/8', '::1', '192.168.0.7'],
      corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
      registrationIsOpen: false
    })
  })

  t.test('counts an empty variable as absent', async (t) => {
    const config = readConfig({ PORT: '', TRUST_PROXY: '', JWT_SECRET: undefined })

    t.equal(config.port, 3000)
    t.same(config.trustProxy, [])
  })

  t.test('makes an address of an IPv6 host', async (t) => {
    t.equal(readConfig({ HOST: '::1', PORT: '8080' }).issuer, 'http://[::1]:8080')
  })

  t.test('ignores the variables of others', async (t) => {
    t.equal(readConfig({ PATH: '/bin', HOSTNAME: 'here' }).host, '127.0.0.1')
  })
})

t.test('allSettings', async (t) => {
  t.test('has the settings of the core and of the features, each with what it should be', async (t) => {
    const settings = Object.entries(await allSettings())

    t.match(Object.fromEntries(settings), { PORT: {}, MASTER_KEY: {}, DOCS: {}, METRICS_PORT: {}, OTEL_SERVICE_NAME: {}, STATUS_LIST_TTL: {}, VERIFY_PREFLIGHT: {} })
    for (const [name, setting] of settings) t.match(setting, { description: /[^.]$/ }, name)
  })
})

t.test('A wrong setting', async (t) => {
  const wrong: Array<[name: string, value: string]> = [
    ['HOST', 'a host'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', 'eighty'],
    ['ISSUER', 'id.example.com'],
    ['ISSUER', 'https://id.example.com/?a=b'],
    ['ISSUER', 'https://id.example.com/'],
    ['ISSUER', 'https://id.example.com/auth/'],
    ['ISSUER', 'https://id.example.com:99999'],
    ['ISSUER', 'https://user:secret@id.example.com'],
    ['ISSUER', 'https://user@id.example.com'],
    ['ISSUER', 'ftp://id.example.com'],
    ['ISSUER', 'https://'],
    ['AUDIENCE', 'caf\ufffd'],
    ['AUDIENCE', 'two words'],
    ['CLIENT_ID', 'two words'],
    ['JWT_ALGORITHM', 'none'],
    ['JWT_ALGORITHM', 'es256'],
    ['ACCESS_TOKEN_TTL', '15'],
    ['ACCESS_TOKEN_TTL', '0m'],
    ['ACCESS_TOKEN_TTL', '1500ms'],
    ['ACCESS_TOKEN_TTL', '-5m'],
    ['REFRESH_TOKEN_TTL', '1 fortnight'],
    ['SESSION_MAX_AGE', '1e3d'],
    ['REFRESH_GRACE', 'soon'],
    ['KEY_ROTATION', '0d'],
    ['KEY_PREPUBLISH', '1 day'],
    ['KEY_PREPUBLISH', '90d'],
    ['DATABASE_CONNECTIONS', '0'],
    ['DATABASE_CONNECTIONS', '1001'],
    ['REVOCATION_LEASE', '0s'],
    ['REVOCATION_LEASE', '31s'],
    ['REVOCATION_LEASE', '5000ms'],
    ['REVOCATION_BLIND', 'on'],
    ['WORKERS', '0'],
    ['WORKERS', '65'],
    ['ACCESS_TOKEN_HEADER', 'x access token'],
    ['ACCESS_TOKEN_HEADER', 'constructor'],
    ['ACCESS_TOKEN_HEADER', 'Set-Cookie'],
    ['ACCESS_TOKEN_HEADER', 'authorization'],
    ['ISSUER', 'https://a.example/a//b'],
    ['ISSUER', 'https://a.example/../x'],
    ['ISSUER', 'https://a.example\\x'],
    ['ISSUER', 'https://a.example/{list}'],
    ['ISSUER', 'https://A.example:443'],
    ['ACCESS_TOKEN_HEADER', 'Constructor'],
    ['PASSWORD_MIN_LENGTH', '7'],
    ['PASSWORD_MIN_LENGTH', '65'],
    ['ARGON2_MEMORY_KIB', '1023'],
    ['ARGON2_TIME_COST', '0'],
    ['ARGON2_THREADS', '0'],
    ['ARGON2_QUEUE', '0'],
    ['RATE_LIMIT', 'yes'],
    ['RATE_LIMIT_ADDRESS', '100'],
    ['RATE_LIMIT_ACCOUNT', '0/1m'],
    ['RATE_LIMIT_GUESSES', '50/5'],
    ['RATE_LIMIT_PAIR', '5m'],
    ['TRUST_PROXY', 'true'],
    ['TRUST_PROXY', '10.0.0.0/33'],
    ['TRUST_PROXY', '::1/129'],
    ['TRUST_PROXY', '10.0.0.0/'],
    ['TRUST_PROXY', '10.0.0.0/8/8'],
    ['TRUST_PROXY', '::1,gateway.example.com'],
    ['CORS_ORIGIN', '*'],
    ['CORS_ORIGIN', 'https://app.example.com/'],
    ['CORS_ORIGIN', 'app.example.com'],
    ['LOG_LEVEL', 'loud'],
    ['REGISTRATION', 'invite']
  ]

  for (const [name, value] of wrong) {
    t.test(`is refused with one sentence: ${name}=${value}`, async (t) => {
      const error = refusalOf({ [name]: value })

      t.equal(error.code, 'wrong_setting')
      t.ok(error.message.startsWith(`${name} is "${value}" but should be `), error.message)
      t.match(error.message, /but should be [^\n]+[^\s.]\.$/)
    })
  }

  t.test('is the only one that is named, also when there are more', async (t) => {
    t.match(refusalOf({ PORT: 'x', LOG_LEVEL: 'y' }).message, /^PORT is "x" but should be /)
  })

  const secret: Array<[name: string, value: string]> = [
    ['JWT_SECRET', 'sesame'],
    ['MASTER_KEY', 'sesame'],
    ['DATABASE_URL', 'file:'],
    ['DATABASE_URL', 'file:sesame.db?mode=ro'],
    ['DATABASE_URL', 'mysql://ada:sesame@localhost/postern'],
    ['DATABASE_URL', 'postgres://'],
    ['DATABASE_URL', 'postgres://ada:open sesame@localhost/postern']
  ]
  for (const [name, value] of secret) {
    t.test(`is not repeated when it is a secret: ${name}=${value}`, async (t) => {
      const { code, message } = refusalOf({ [name]: value })

      t.equal(code, 'wrong_setting')
      t.ok(message.startsWith(`${name} is set (${value.length} bytes) but should be `), message)
      t.match(message, /but should be [^\n]+[^\s.]\.$/)
      t.notMatch(message, 'sesame')
    })
  }

  t.test('is an HS256 without a secret', async (t) => {
    t.match(refusalOf({ JWT_ALGORITHM: 'HS256' }).message, /^JWT_SECRET is not set but should be at least 32 bytes, /)
  })

  t.test('is a key that rotates before it was published for long enough', async (t) => {
    t.match(refusalOf({ KEY_ROTATION: '1h' }).message, /^KEY_PREPUBLISH is "24h" but should be .*shorter than KEY_ROTATION/)
  })

  t.test('is a secret that no algorithm uses', async (t) => {
    const { message } = refusalOf({ JWT_SECRET: SECRET })

    t.match(message, /^JWT_SECRET is set \(\d+ bytes\) but should be .*set only with JWT_ALGORITHM=HS256\.$/)
    t.notMatch(message, SECRET)
  })
})

function refusalOf (environment: Record<string, string>): Error & { code?: string } {
  try {
    readConfig(environment)
  } catch (error) {
    return error as Error // readConfig throws nothing else
  }
  throw new Error('was accepted')
}
