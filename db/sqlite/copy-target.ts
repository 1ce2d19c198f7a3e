import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Client from 'better-sqlite3'
import { auditChain } from '../audit-chain.ts'
import { MARK_NAME, refuseCopy } from '../copy-mark.ts'
import { quote } from '../copy-tables.ts'
import { removeDatabase, settle } from './backup.ts'
import { connect } from './connection.ts'
import { countRows, sqliteReader } from './copy-side.ts'
import { sqliteDialect } from './dialect.ts'
import { stateIn } from './inspect.ts'
import { migrate, versionOf } from './migrate.ts'
import { stepRunner } from './steps.ts'
import type { CopyMark } from '../copy-mark.ts'
import type { CopySide, CopyTarget } from '../copy-sides.ts'
import type { CopyTable, Row } from '../copy-tables.ts'
import type { NewAuditEvent } from '../schema/index.ts'

const SET_MARK = `insert into service_state (name, value, recorded_at) values ('${MARK_NAME}', ?, ?)`
const MOVE_MARK = `update service_state set value = ? where name = '${MARK_NAME}'`
const REMOVE_MARK = `delete from service_state where name = '${MARK_NAME}'`

const ANCHOR_TRIGGER = "select sql from sqlite_schema where name = 'audit_anchor_moves_on'"

const FORGET_SEQUENCE = "delete from sqlite_sequence where name = 'revocations'"
const SET_SEQUENCE = "insert into sqlite_sequence (name, seq) values ('revocations', cast(? as integer))"

/**
 * Opens a copy that was interrupted, or makes a new file when the copy begins. Until it is complete the system may write it when
 * it likes: that outlives this process, and not a power cut.
 * @throws Error with `code: 'refused'` and a sentence for a file that is anything else, or in use
 */
export function openSqliteTarget (file: string, source: string): CopyTarget {
  let { client, mark } = openExisting(file, source)
  let inserts = new Map<string, Client.Statement>()

  /** The connection, once the copy has begun. */
  function current (): Client.Database {
    return client ?? refuseCopy('The copy has not begun.')
  }

  function insertInto ({ name, columns }: CopyTable): Client.Statement {
    const sql = `insert into ${name} (${columns.map(quote).join(', ')}) values (${columns.map(() => '?').join(', ')})`
    const statement = inserts.get(name) ?? current().prepare(sql)
    inserts.set(name, statement)
    return statement
  }

  return {
    mark,
    read: (...page: Parameters<CopySide['read']>) => sqliteReader(current())(...page),

    async begin (mark, anchor) {
      client?.close()
      client = makeFile(file)
      inserts = new Map()
      client.transaction(() => setAnchor(current(), anchor))()
      client.prepare(SET_MARK).run(JSON.stringify(mark), Date.now())
    },

    async write (table, rows, _from, to) {
      const insert = insertInto(table)
      current().transaction(() => {
        for (const row of rows) insert.run(row)
        current().prepare(MOVE_MARK).run(JSON.stringify(to))
      })()
    },

    async finish (_last, sequence, waitingEvents) {
      const made = current()
      made.pragma('synchronous = FULL')
      made.pragma('wal_checkpoint(TRUNCATE)') // all of it is on disk before the mark is gone
      made.transaction(() => {
        made.exec(FORGET_SEQUENCE)
        made.prepare(SET_SEQUENCE).run(sequence)
        const events = waitingEvents.map((event) => JSON.parse(event) as NewAuditEvent) // the inbox keeps them so
        stepRunner(made).runAtOnce(auditChain(sqliteDialect)(events))
        made.exec(REMOVE_MARK)
      })()
      made.close()
      settle(file)
    },

    async close () { client?.close() }
  }
}

/** The connection to a copy that was interrupted, and its mark; nothing when the file is still to be made. */
function openExisting (file: string, source: string): { client?: Client.Database, mark?: CopyMark } {
  if (!existsSync(file)) return {}
  const client = new Client(file, { fileMustExist: true, timeout: 0 })
  try {
    client.pragma('locking_mode = EXCLUSIVE')
    client.pragma('synchronous = OFF')
    const version = versionOf(client)
    if (version === 'empty' || (version === 'current' && countRows(client) === 0)) return { client }
    const mark = version === 'current' ? stateIn(client)[MARK_NAME] : undefined
    if (mark !== undefined && (JSON.parse(mark) as CopyMark).source === source) return { client, mark: JSON.parse(mark) }
  } catch (error) {
    client.close()
    const { code, message } = error as NodeJS.ErrnoException // SQLite's
    refuseCopy(code?.startsWith('SQLITE_BUSY') ? `${file} is in use.` : `${file} cannot be used (${message}). Name a new file.`)
  }
  client.close()
  refuseCopy(`${file} is there already, and is no copy of this database that could go on. Name a new file.`)
}

function makeFile (file: string): Client.Database {
  removeDatabase(file)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  closeSync(openSync(file, 'wx', 0o600))
  const client = connect(file)
  client.pragma('locking_mode = EXCLUSIVE')
  client.pragma('synchronous = OFF')
  migrate(client)
  return client
}

/** The anchor comes before its events here: the trigger that asks for the event is away for the moment. */
function setAnchor (client: Client.Database, anchor: Row) {
  const trigger = client.prepare<[], string>(ANCHOR_TRIGGER).pluck().get()!
  client.exec('drop trigger audit_anchor_moves_on')
  client.prepare('update audit_anchor set id = ?, sequence = ?, hash = ?').run(anchor)
  client.exec(trigger)
}
