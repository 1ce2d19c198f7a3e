import { hash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { refuseCopy } from './copy-mark.ts'
import { isPostgres } from './index.ts'
import { parsePostgresUrl } from './postgres/url.ts'
import { fileOf } from './sqlite/index.ts'
import type { CopyProgress } from './copy.ts'
import type { CopySource, CopyTarget } from './copy-sides.ts'

const NAME_LENGTH = 16

/** A name for the database of a URL, which tells it from others and holds no secret. */
export function copyName (url: string): string {
  return hash('sha256', JSON.stringify(isPostgres(url) ? toPlace(url) : realpathSync(toFile(url)))).slice(0, NAME_LENGTH)
}

function toPlace (url: string) {
  const { host, port, database } = parsePostgresUrl(url)
  return [host, port, database]
}

/**
 * Opens the database that is to be copied: a file that nobody else may use meanwhile, or PostgreSQL as it is at this moment.
 * @throws the server's error, or `refused`, `wrong_version` or `wrong_setting` with a sentence
 */
export async function openCopySource (url: string, name = copyName(url)): Promise<CopySource> {
  if (isPostgres(url)) return (await import('./postgres/copy-source.ts')).openPostgresSource(url, name)
  return (await import('./sqlite/copy-source.ts')).openSqliteSource(toFile(url), name)
}

/**
 * Opens the database that is to be made: an empty one, or a copy of the same source that was interrupted.
 * @throws the same
 */
export async function openCopyTarget (url: string, source: string): Promise<CopyTarget> {
  if (isPostgres(url)) return (await import('./postgres/copy-target.ts')).openPostgresTarget(url, source)
  return (await import('./sqlite/copy-target.ts')).openSqliteTarget(toFile(url), source)
}

/**
 * Copies what is missing, compares, and gives the number of rows (db/copy.ts, which only a command loads).
 * @throws Error with `code: 'refused'` and a sentence when the two differ; the target stays a copy that is not complete
 */
export async function copyAll (source: CopySource, target: CopyTarget, onProgress: CopyProgress): Promise<number> {
  const { copyAll } = await import('./copy.ts')
  return copyAll(source, target, onProgress)
}

function toFile (url: string): string {
  return fileOf(url) ?? refuseCopy('A database in memory cannot be copied.')
}
