import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { lockDatabase, removeDatabase, replaceDatabase, settle } from '../db/backup.ts'
import { inspect } from '../db/inspect.ts'
import { readConfig } from '../plugins/config.ts'
import { masterKeyFile } from '../plugins/master-key.ts'
import { databaseFileOf } from './backup.ts'
import { refuse, withService } from './service.ts'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../plugins/config.ts'

interface RestoreOptions {
  /** For a backup after which nothing was written. */
  keepSessions?: boolean
}

export function addRestore (cli: Command) {
  cli.command('restore')
    .description('put a backup in the place of the database, while the service is stopped; everybody signs in again')
    .argument('<file>')
    .option('--keep-sessions', 'leave everybody signed in: only when nothing happened since the backup, or who signed out since is signed in again')
    .action(async (backup: string, options: RestoreOptions) => console.log(await restore(readConfig(process.env), backup, options)))
}

/**
 * Puts a backup in the place of the database, after the service has been started on a copy of it to see that it can be.
 * Gives what to tell the operator; a refusal leaves everything as it was.
 */
export async function restore (config: Config, backup: string, { keepSessions = false }: RestoreOptions = {}): Promise<string> {
  const file = databaseFileOf(config.databaseUrl)
  const candidate = `${file}.restoring`
  const aside = `${file}.before-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`

  if (!existsSync(backup)) refuse(`There is no file ${backup}.`)
  assertMasterKey(config, file)
  const release = lock(file)
  const hadOne = existsSync(file)
  try {
    copyWhole(backup, candidate)
    assertPostern(candidate, backup)
    const ended = await withService({ ...config, databaseUrl: `file:${candidate}` }, (service) => prepare(service, keepSessions))
    settle(candidate)
    replaceDatabase(candidate, file, aside)
    return [`${file} is restored: start the service.`, hadOne ? `What was there is ${aside}.` : '', ended].filter(Boolean).join('\n')
  } finally {
    removeDatabase(candidate)
    release()
  }
}

function assertPostern (candidate: string, backup: string) {
  const { faults: [fault], version } = inspect(candidate)
  if (fault !== undefined) refuse(`${backup} is not sound (${fault}): take another backup.`)
  if (version === 'foreign') refuse(`${backup} is no database of Postern.`)
  if (version === 'newer') refuse(`${backup} was written by a later version of Postern: install that one.`)
}

/** A start would make a new key, with which nothing can be read. */
function assertMasterKey ({ masterKey }: Config, file: string) {
  const path = masterKeyFile(file)
  if (masterKey === undefined && !existsSync(path)) refuse(`The master key of the backup is missing: put it at ${path}, or set MASTER_KEY.`)
}

function lock (file: string): () => void {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    return () => {}
  }
  try {
    return lockDatabase(file)
  } catch {
    refuse(`${file} is in use: stop the service.`)
  }
}

/** A backup made by other means may have a part of itself in its -wal. */
function copyWhole (backup: string, candidate: string) {
  removeDatabase(candidate) // what a restore left that was interrupted
  for (const suffix of ['', '-wal']) {
    if (!existsSync(backup + suffix)) continue
    copyFileSync(backup + suffix, candidate + suffix)
    chmodSync(candidate + suffix, 0o600)
  }
}

/** Whatever was ended or changed after the backup would hold again, so all that was issued before this moment ends. */
async function prepare ({ audit, config, db, keys, now }: FastifyInstance, keepSessions: boolean): Promise<string> {
  const time = now()
  await db.restored.skipSequences(time, audit.note('cli', { event: 'restored', details: { keepSessions } }))
  if (keepSessions) return ''
  const count = await db.restored.endSessions(time)
  if (config.jwtSecret === undefined) for (const { kid } of keys.all()) await keys.burn(kid, 'cli')
  return `Sessions ended: ${count}. Everybody signs in again.`
}
