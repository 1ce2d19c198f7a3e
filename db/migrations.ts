import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from './drizzle.ts'

/**
 * The migrations that a database has had: all, not yet all, some of a later version, those of another program, or none
 * because it is empty.
 */
export type Version = 'current' | 'older' | 'newer' | 'foreign' | 'empty'

const FAULTS: Record<Exclude<Version, 'current'>, string> = {
  newer: 'A later version of Postern wrote the database. Install that version.',
  foreign: 'The database of DATABASE_URL is no database of Postern. Name another one.',
  older: 'The database is of an earlier version of Postern. Start the service once, which updates it.',
  empty: 'The database is empty. Start the service once.'
}

/** Every migration of this version for an engine, in order. */
export function readMigrations (engine: 'sqlite' | 'postgres') {
  return readMigrationFiles({ migrationsFolder: fileURLToPath(new URL(`${engine}/migrations`, import.meta.url)) })
}

/** The version of a database that has had these migrations, by their hashes; `isEmpty` tells that it has no other tables. */
export function versionOf (had: string[], known: string[], isEmpty: boolean): Version {
  if (had.length === 0) return isEmpty ? 'empty' : 'foreign'
  if (had[0] !== known[0]) return 'foreign'
  if (!had.every((hash, i) => hash === known[i])) return 'newer'
  return had.length < known.length ? 'older' : 'current'
}

/** @throws Error with `code: 'wrong_version'` and a sentence unless the version is the current one, or one of the accepted */
export function assertVersion (version: Version, accepted: Version[] = []) {
  if (version === 'current' || accepted.includes(version)) return
  throw Object.assign(new Error(FAULTS[version]), { code: 'wrong_version' })
}
