import { readFileSync } from 'node:fs'
import type { ClientConfig } from 'pg'

const PARAMETERS = ['host', 'sslmode', 'sslrootcert']
const VERIFIED = ['prefer', 'require', 'verify-ca', 'verify-full']

/**
 * Reads a URL such as `postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=/path`. A server on
 * another machine is spoken to by TLS with a verified certificate, unless `sslmode` says `no-verify` or `disable`.
 * @throws Error with `code: 'wrong_setting'` and a sentence that does not hold the URL
 */
export function parsePostgresUrl (text: string): ClientConfig {
  const url = URL.parse(text) ?? refuse('cannot be read: give one host, and write special characters in the password as %XX')
  const wrong = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name))
  if (wrong !== undefined) refuse(`has the parameter "${wrong}": it may have ${PARAMETERS.join(', ')}`)
  if (url.host.includes(',') || url.searchParams.get('host')?.includes(',')) refuse('names several hosts: give one')

  const host = url.searchParams.get('host') ?? (decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost')
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)) || undefined,
    user: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    ssl: toTls(host, url.searchParams)
  }
}

function toTls (host: string, parameters: URLSearchParams): ClientConfig['ssl'] {
  const mode = parameters.get('sslmode') ?? (isLocal(host) ? 'disable' : 'verify-full')
  if (mode === 'disable') return false
  if (mode === 'no-verify') return { rejectUnauthorized: false }
  if (!VERIFIED.includes(mode)) refuse(`has sslmode=${mode}: give verify-full, no-verify or disable`)
  const file = parameters.get('sslrootcert')
  return file === null ? { rejectUnauthorized: true } : { rejectUnauthorized: true, ca: readCertificate(file) }
}

function readCertificate (file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    return refuse(`names an sslrootcert that cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** A socket, or this machine. */
export function isLocal (host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function refuse (fault: string): never {
  throw Object.assign(new Error(`DATABASE_URL ${fault}.`), { code: 'wrong_setting' })
}
