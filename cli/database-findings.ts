import { existsSync, readFileSync } from 'node:fs'
import { inspect } from '../plugins/core/database.ts'
import { createMasterKey, masterKeyFile } from '../plugins/tokens/master-key.ts'
import { AS_SERVICE, isForbidden } from './access.ts'
import { fail, ok, warn } from './findings.ts'
import type { Config } from '../plugins/core/config/index.ts'
import type { Inspection } from '../plugins/core/database.ts'
import type { Finding, Surroundings } from './findings.ts'

/** SQLite's words for a file that is there, and that it may not read. */
const CANNOT_OPEN = /unable to open/

const CLOCK_SKEW_MILLISECONDS = 60_000

export const HALF_COPY = fail('database', 'It is a copy that is not complete.', 'Run the command again that makes it.')

export const MIGRATIONS = {
  current: ok('migrations', 'complete'),
  older: warn('migrations', 'Some are missing.', 'Back up, then start the service, which runs them.'),
  newer: fail('migrations', 'A later version of Postern wrote this database.', 'Install that version.')
}

/** Checks that the database is sound, of this version, of this master key, and not from the future. */
export function examineDatabase (config: Config, file: string, { now = Date.now() }: Partial<Surroundings> = {}): Finding[] {
  if (isForbidden(file)) return [fail('permissions', `This user may not use ${file}.`, AS_SERVICE)]
  if (!existsSync(file)) return [ok('database', `${file} does not exist yet; the first start makes it`)]
  const { faults: [fault], version, keys, newestTime, isCopying } = inspect(file)
  if (fault && CANNOT_OPEN.test(fault)) return [fail('permissions', `This user may not use ${file}.`, AS_SERVICE)]
  if (fault !== undefined) return [fail('integrity', `${file} is damaged (${fault}).`, 'Stop the service and restore a backup.')]
  if (version === 'empty') return [ok('database', `${file} is empty; the first start fills it`)]
  if (version === 'foreign') return [fail('migrations', `${file} is no database of Postern.`, 'Set DATABASE_URL to one.')]
  if (isCopying) return [HALF_COPY]

  return [
    ok('integrity', `${file} is sound`),
    MIGRATIONS[version],
    examineKeys(config, file, keys),
    examineClock(now, newestTime)
  ]
}

function examineKeys ({ masterKey }: Config, file: string, keys: Inspection['keys']): Finding {
  const keyFile = masterKeyFile(file)
  if (masterKey !== undefined) return examineMasterKey(() => masterKey, keys)
  if (existsSync(keyFile)) return examineMasterKey(() => readFileSync(keyFile, 'utf8'), keys)
  const advice = 'Restore it, or set MASTER_KEY to what was in it.'
  return fail('keys', `The master key of the database, the file ${keyFile}, is missing.`, advice)
}

/** Checks that a master key decrypts the signing keys. */
export function examineMasterKey (read: () => string, keys: Inspection['keys']): Finding {
  try {
    const master = createMasterKey(read())
    for (const { kid, privateKey } of keys) master.open(privateKey, kid)
    return ok('keys', `the master key decrypts all of them (${keys.length})`)
  } catch {
    return fail(
      'keys',
      'The master key does not decrypt the signing keys.',
      'Restore the MASTER_KEY, or the file master.key, that this database was made with.'
    )
  }
}

/** Checks that nothing in the database is from the future, by the clock of `teller`. */
export function examineClock (now: number, newestTime: number, teller = 'This machine'): Finding {
  if (newestTime <= now + CLOCK_SKEW_MILLISECONDS) return ok('clock', 'no row is from the future')
  const [time, newest] = [now, newestTime].map((time) => new Date(time).toISOString())
  return fail('clock', `${teller} says ${time}, but the newest row is of ${newest}.`, 'Set the clock.')
}
