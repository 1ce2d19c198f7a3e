import { existsSync, readFileSync, statSync, statfsSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { inspect } from '../db/inspect.ts'
import { masterKeyFile, masterKeyOf } from '../plugins/master-key.ts'
import type { Inspection } from '../db/inspect.ts'
import type { Config } from '../plugins/config.ts'

const MIB = 2 ** 20
const KIB = 2 ** 10
const LEAST_FREE_BYTES = 64 * MIB
const CLOCK_SKEW_MILLISECONDS = 60_000
const LEAST_DISTINCT_BYTES = 16
const OWASP_MEMORY_KIB_TIMES_PASSES = 7168 * 5 // the least of those that it takes for equal

export interface Finding {
  level: 'ok' | 'warn' | 'fail'
  about: string
  /** What was found; of a `warn` or `fail`, what to do, too. */
  sentence: string
}

export interface Surroundings {
  /** The time in milliseconds since 1970. */
  now: number
  cores: number
  memoryBytes: number
  freeDiskBytes: number
}

/** What is valid and yet not what a service that the world uses should have. */
export function examineSettings (config: Config, { cores = availableParallelism(), memoryBytes = totalmem() }: Partial<Surroundings> = {}): Finding[] {
  const { issuer, issuerIsChosen, host, trustProxy, workers, jwtSecret, argon2, rateLimit } = config
  const isOpen = !['127.0.0.1', '::1', 'localhost'].includes(host)
  const hashing = workers * argon2.threads * argon2.memoryCost * KIB

  const warnings = [
    !issuerIsChosen && `ISSUER is not set: tokens say that they come from ${issuer}. Set it to the address under which the world reaches Postern.`,
    issuerIsChosen && /^http:\/\/(?!localhost|127\.|\[::1\])/.test(issuer) && 'ISSUER begins with http: tokens travel in clear. Let a gateway speak https, and say so in ISSUER.',
    isOpen && trustProxy.length === 0 && `HOST is ${host} and TRUST_PROXY is not set: if a gateway stands before Postern, its limits count the gateway instead of the clients. Set TRUST_PROXY to the gateway's addresses.`,
    trustProxy.some((range) => range.endsWith('/0')) && 'TRUST_PROXY believes everybody: any client can choose the address that limits count. Name the gateways alone.',
    jwtSecret !== undefined && new Set(Buffer.from(jwtSecret)).size < LEAST_DISTINCT_BYTES && 'JWT_SECRET repeats few characters: whoever guesses it signs tokens. Take "openssl rand -base64 32".',
    workers > cores && `WORKERS is ${workers} on ${cores} cores: they wait for each other. Set it to ${cores} at the most.`,
    hashing > memoryBytes / 2 && `Hashing passwords can take ${Math.round(hashing / MIB)} MiB of ${Math.round(memoryBytes / MIB)}: lower WORKERS, ARGON2_THREADS or ARGON2_MEMORY_KIB.`,
    argon2.memoryCost * argon2.timeCost < OWASP_MEMORY_KIB_TIMES_PASSES && 'ARGON2_MEMORY_KIB and ARGON2_TIME_COST are below what OWASP advises: a stolen database is guessed sooner. Leave them out for the defaults.',
    rateLimit === false && 'RATE_LIMIT is off: passwords can be guessed as fast as they are hashed. Leave it out.'
  ].filter((sentence) => sentence !== false)

  if (warnings.length === 0) return [{ level: 'ok', about: 'settings', sentence: 'as they should be in production' }]
  return warnings.map((sentence) => ({ level: 'warn', about: 'settings', sentence }))
}

/** Who else may read the database and the master key. */
export function examineFiles ({ masterKey }: Config, file: string): Finding[] {
  const folder = dirname(file)
  const keyFile = masterKeyFile(file)
  const secrets = [file, `${file}-wal`, `${file}-shm`, keyFile].filter((path) => existsSync(path) && isOpenToOthers(path))

  const findings: Finding[] = secrets.map((path) => ({ level: 'fail', about: 'permissions', sentence: `Others than its owner may use ${path}: chmod 600 ${path}` }))
  if (existsSync(folder) && isOpenToOthers(folder)) findings.push({ level: 'warn', about: 'permissions', sentence: `Others than its owner may look into ${folder}: chmod 700 ${folder}` })
  if (findings.length === 0) findings.push({ level: 'ok', about: 'permissions', sentence: `nobody but its owner may use ${folder}` })
  if (masterKey !== undefined) findings.push({ level: 'ok', about: 'master key', sentence: 'is MASTER_KEY: keep it in two places' })
  else if (existsSync(keyFile)) findings.push({ level: 'ok', about: 'master key', sentence: `is the file ${keyFile}: back it up apart from the database` })
  return findings
}

function isOpenToOthers (path: string): boolean {
  return (statSync(path).mode & 0o077) !== 0
}

/** Whether the database is sound, of this version, of this master key, and of the past. */
export function examineDatabase (config: Config, file: string, { now = Date.now() }: Partial<Surroundings> = {}): Finding[] {
  if (!existsSync(file)) return [{ level: 'ok', about: 'database', sentence: `${file} is not there yet: the first start makes it` }]
  const inspection = inspect(file)
  const { faults, version, newestTime } = inspection
  if (faults.length > 0) return faults.slice(0, 1).map((fault) => ({ level: 'fail', about: 'integrity', sentence: `${file} is not sound (${fault}): stop the service and restore a backup.` }))
  if (version === 'foreign') return [{ level: 'fail', about: 'migrations', sentence: `${file} is no database of Postern: set DATABASE_URL to one.` }]

  const isAhead = newestTime > now + CLOCK_SKEW_MILLISECONDS
  return [
    { level: 'ok', about: 'integrity', sentence: `${file} is sound` },
    {
      current: { level: 'ok' as const, about: 'migrations', sentence: 'are all done' },
      older: { level: 'warn' as const, about: 'migrations', sentence: 'Some are missing: back up, then start the service, which runs them.' },
      newer: { level: 'fail' as const, about: 'migrations', sentence: 'The database was written by a later version of Postern: install that one.' }
    }[version],
    examineKeys(config, file, inspection),
    isAhead
      ? { level: 'fail', about: 'clock', sentence: `It is ${new Date(now).toISOString()} here, and the newest row is of ${new Date(newestTime).toISOString()}: set the clock.` }
      : { level: 'ok', about: 'clock', sentence: 'no row is of the future' }
  ]
}

function examineKeys ({ masterKey }: Config, file: string, { keys }: Inspection): Finding {
  try {
    const master = masterKeyOf(masterKey ?? readFileSync(masterKeyFile(file), 'utf8'))
    for (const { kid, privateKey } of keys) master.open(privateKey, kid)
    return { level: 'ok', about: 'keys', sentence: `the master key opens all of them (${keys.length})` }
  } catch {
    return { level: 'fail', about: 'keys', sentence: 'The master key does not open the signing keys: restore the MASTER_KEY, or the file master.key, that this database was made with.' }
  }
}

/** Whether there is room for what comes, and for the copy that a restoring makes. */
export function examineDisk (file: string, { freeDiskBytes }: Partial<Surroundings> = {}): Finding[] {
  const folder = dirname(file)
  if (!existsSync(folder)) return []
  const free = freeDiskBytes ?? freeBytesOf(folder)
  const size = existsSync(file) ? statSync(file).size : 0
  const sentence = `${Math.round(free / MIB)} MiB are free in ${folder}`
  if (free >= Math.max(LEAST_FREE_BYTES, 2 * size)) return [{ level: 'ok', about: 'disk', sentence }]
  return [{ level: free < LEAST_FREE_BYTES / 4 ? 'fail' : 'warn', about: 'disk', sentence: `Only ${sentence}: without room nothing is written. Make some.` }]
}

function freeBytesOf (folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
