import { existsSync, statSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { masterKeyFile } from '../plugins/tokens/master-key.ts'
import type { Config } from '../plugins/core/config/index.ts'

export const MIB = 2 ** 20
const LEAST_FREE_BYTES = 64 * MIB

export interface Finding {
  level: 'ok' | 'warn' | 'fail'
  about: string
  /** The finding, and for `warn` and `fail` what to do. */
  sentence: string
}

export interface Surroundings {
  /** The time in milliseconds since 1970. */
  now: number
  cores: number
  memoryBytes: number
  freeDiskBytes: number
  namesInEnvFile: string[]
}

export function ok (about: string, sentence: string): Finding {
  return { level: 'ok', about, sentence }
}

export function warn (about: string, ...sentences: string[]): Finding {
  return { level: 'warn', about, sentence: sentences.join(' ') }
}

export function fail (about: string, ...sentences: string[]): Finding {
  return { level: 'fail', about, sentence: sentences.join(' ') }
}

/** Checks that only the owner may read the database and the master key. */
export function examineFiles ({ masterKey }: Config, file: string): Finding[] {
  const folder = dirname(file)
  const keyFile = masterKeyFile(file)
  const secrets = [file, `${file}-wal`, `${file}-shm`, keyFile].filter(isOpenToOthers)

  const findings = secrets.map((path) => fail('permissions', `Other users may read ${path}.`, `Run: chmod 600 ${path}`))
  if (isOpenToOthers(folder)) findings.push(warn('permissions', `Other users may look into ${folder}.`, `Run: chmod 700 ${folder}`))
  if (findings.length === 0) findings.push(ok('permissions', `only its owner may use ${folder}`))
  if (masterKey !== undefined) findings.push(ok('master key', 'is MASTER_KEY; keep it in two places'))
  else if (existsSync(keyFile)) findings.push(ok('master key', `is the file ${keyFile}; back it up apart from the database`))
  return findings
}

/** False for a file that does not exist. */
function isOpenToOthers (path: string): boolean {
  return existsSync(path) && (statSync(path).mode & 0o077) !== 0
}

/** Checks that there is room for new data, and for the copy that a restore makes. */
export function examineDisk (file: string, { freeDiskBytes }: Partial<Surroundings> = {}): Finding[] {
  const folder = dirname(file)
  if (!existsSync(folder)) return []
  const free = freeDiskBytes ?? freeBytesOf(folder)
  const size = existsSync(file) ? statSync(file).size : 0
  const sentence = `${Math.round(free / MIB)} MiB are free in ${folder}`
  if (free >= Math.max(LEAST_FREE_BYTES, 2 * size)) return [ok('disk', sentence)]

  const complain = free < LEAST_FREE_BYTES / 4 ? fail : warn
  return [complain('disk', `Only ${sentence}.`, 'Free some space: without it nothing can be written.')]
}

function freeBytesOf (folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
