import { closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { change, execute } from '../engine.ts'
import { auditChain } from '../audit-chain.ts'
import { connect } from './connection.ts'
import { sqliteDialect } from './dialect.ts'
import { toEngineError } from './errors.ts'
import { assertCurrent, migrate } from './migrate.ts'
import { sqliteNews } from './news.ts'
import { sessionPruning } from './prune-sessions.ts'
import { stepRunner } from './steps.ts'
import { createWriter } from './writer.ts'
import type { Engine } from '../engine.ts'
import type { Store } from '../store.ts'

const BUSY_TIMEOUT_MILLISECONDS = 5 // blocks the event loop, so it is short; the writer waits longer without blocking

/** 16 MiB of the -wal. With SQLite's 1,000 the same pages are written more often: a twelfth fewer refreshes. */
const CHECKPOINT_PAGES = 4000

/** The file of a `file:` URL; undefined for a database in memory or on a server. */
export function fileOf (url: string): string | undefined {
  return /^file:(?!:memory:$)(.+)/.exec(url)?.[1]
}

/**
 * Opens a SQLite file, making it (folder 0700, file 0600) when it is not there, and brings its schema up to date.
 * With `isMaker: false` it must be there and up to date, and is left as it is.
 * @throws SqliteError, the system's error when the file cannot be made or opened, or `wrong_version` with a sentence
 */
export function openSqlite (url: string, { isMaker = true } = {}): Store {
  const file = fileOf(url)
  if (file && isMaker) prepareFile(file)
  const assertInPlace = inPlaceCheck(file) // from before the opening on: `restore` may put another file there meanwhile
  const client = connect(file, { isMaker })
  try {
    if (isMaker) migrate(client)
    else assertCurrent(client)
  } catch (error) {
    client.close()
    throw error
  }
  client.pragma(`busy_timeout = ${BUSY_TIMEOUT_MILLISECONDS}`)
  client.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)

  const { read: readStep, runAtOnce } = stepRunner(client)
  const writer = createWriter(client, assertInPlace)

  const read: Engine['read'] = async (statement, values) => {
    try {
      return readStep({ statement, parameters: statement.toParameters(values), wants: 'rows' }).map(statement.toRow)
    } catch (error) {
      throw toEngineError(error)
    }
  }

  const writeBy = (write: typeof writer.write): Engine['write'] => async (operation) => {
    try {
      return await write(() => runAtOnce(operation()))
    } catch (error) {
      throw toEngineError(error)
    }
  }

  const write = writeBy(writer.write)
  return {
    ...sqliteDialect,
    read,
    write,
    writeUnsynced: writeBy(writer.writeUnsynced),
    news: sqliteNews(writer.revision, readStep),
    async probe (now) {
      await write(() => execute(PROBE, [now]))
      await read(PROBED, [])
    },
    appendEvent: (event) => chain([event]),
    * failIfRevoked () {}, // nobody else writes
    async chainEvents () {}, // they are, when they are written
    * skipSequence (sequence) {
      const changes = yield * change(SKIP, [sequence])
      if (changes === 0) yield * execute(FIRST_SKIP, [sequence])
    },
    pruneSessions: sessionPruning({ read, write }),
    observeCommits: writer.observeCommits,
    async close () { client.close() }
  }
}

const { text } = sqliteDialect

const chain = auditChain(sqliteDialect)

const PROBE = text<[now: number]>(
  'insert into probe (id, written_at) values (1, ?) on conflict do update set written_at = excluded.written_at'
)
const PROBED = text<[], [number]>('select written_at from probe')

const SKIP = text<[sequence: number]>("update sqlite_sequence set seq = max(seq, cast(? as integer)) where name = 'revocations'")
const FIRST_SKIP = text<[sequence: number]>("insert into sqlite_sequence (name, seq) values ('revocations', cast(? as integer))")

function prepareFile (file: string) {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  closeSync(openSync(file, 'a', 0o600)) // SQLite gives its -wal and -shm the same permissions
}

/**
 * A file that was deleted or moved away goes on taking writes that nobody will find again.
 * The check throws what SQLite itself throws for that outside WAL mode.
 */
function inPlaceCheck (file: string | undefined): () => void {
  if (!file) return () => {}
  const opened = statSync(file).ino
  return () => {
    if (statSync(file, { throwIfNoEntry: false })?.ino === opened) return
    throw Object.assign(new Error(`The database file ${file} was moved or deleted.`), { code: 'SQLITE_READONLY_DBMOVED' })
  }
}
