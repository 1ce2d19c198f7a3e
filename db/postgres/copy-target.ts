import { MARK_NAME, refuseCopy } from '../copy-mark.ts'
import { COPIED_TABLES, COUNT_ROWS, quote } from '../copy-tables.ts'
import { connectForCopy, postgresReader, send } from './copy-side.ts'
import { assertUsable, findVersion, migrate } from './migrate.ts'
import { parsePostgresUrl } from './url.ts'
import type { Client } from 'pg'
import type { CopyMark } from '../copy-mark.ts'
import type { CopyTarget } from '../copy-sides.ts'
import type { CopyColumn, CopyTable } from '../copy-tables.ts'
import type { Version } from '../migrations.ts'
import type { Sent } from './copy-side.ts'

const GET_MARK = `select value from service_state where name = '${MARK_NAME}'`
const SET_MARK = `insert into service_state (name, value, recorded_at) values ('${MARK_NAME}', ?, ?)`
const REMOVE_MARK = `delete from service_state where name = '${MARK_NAME}' and value = ?`

const TRUNCATE = `truncate ${COPIED_TABLES.map(({ name }) => name).join(', ')}, audit_inbox`
const SET_ANCHOR = 'update audit_anchor set id = ?, sequence = ?, hash = ?'
const SET_HEAD = "update heads set value = ? where name = 'revocations'"
const PUT_INTO_INBOX = 'insert into audit_inbox (event) select unnest(?::text[])'

/** The triggers of the audit log would look at each event alone; that all of it is like its source is compared at the end. */
const AUDIT_TABLES = ['audit_events', 'audit_anchor']
const toTriggers = (does: 'enable' | 'disable') => AUDIT_TABLES.map((name): Sent => [`alter table ${name} ${does} trigger user`])

const TYPES: Record<CopyColumn['kind'], string> = { text: 'text', number: 'bigint', flag: 'boolean', bytes: 'bytea' }

const ANOTHER = 'Another process makes the same copy.'

/** The last commit of the copy waits for the disk, and with it for all before. */
const BEGIN_PAGE: Sent = ['begin; set local synchronous_commit = off']

/**
 * Opens an empty database, or a copy that was interrupted.
 * @throws Error with `code: 'refused'` and a sentence for any other database
 */
export async function openPostgresTarget (url: string, source: string): Promise<CopyTarget> {
  const config = parsePostgresUrl(url)
  const client = await connectForCopy(config)
  const { version, mark } = await examine(client, source).catch((error) => {
    client.end().catch(() => {})
    throw error
  })

  return {
    mark,
    read: postgresReader(client),

    async begin (mark, anchor) {
      if (version === 'empty') await migrate(config, { isMaker: true })
      const set: Sent = [SET_MARK, [JSON.stringify(mark), Date.now()]]
      await send(client, ['begin'], ...toTriggers('disable'), [TRUNCATE], [SET_ANCHOR, anchor], set, ['commit'])
    },

    async write (table, rows, from, to) {
      const columns = table.columns.map((_, i) => rows.map((row) => row[i]))
      const page: Sent = [insertInto(table), [JSON.stringify(to), JSON.stringify(from), ...columns]]
      const [, inserted] = await send(client, BEGIN_PAGE, page, ['commit']).catch((error) => refuseText(error, table))
      if (inserted?.rowCount !== rows.length) refuseCopy(ANOTHER)
    },

    async finish (last, sequence, waitingEvents) {
      const remove: Sent = [REMOVE_MARK, [JSON.stringify(last)]]
      const [, removed] = await send(client, ['begin'], remove, [SET_HEAD, [sequence]], [PUT_INTO_INBOX, [waitingEvents]])
      if (removed?.rowCount !== 1) refuseCopy(ANOTHER)
      await send(client, ...toTriggers('enable'), ['commit'])
      await send(client, ['analyze'])
    },

    close: () => client.end()
  }
}

/** The version of the database, and its mark if it is a copy; there is none in a database in which nothing is yet. */
async function examine (client: Client, source: string): Promise<{ version: Version, mark?: CopyMark }> {
  await assertUsable(client)
  const version = await findVersion(client)
  if (version === 'empty') return { version }
  if (version === 'current') {
    const [[count], [text]] = (await send(client, [COUNT_ROWS], [GET_MARK])).map(({ rows: [row = []] }) => row) as [[number], [string?]]
    if (count === 0) return { version }
    if (text !== undefined && (JSON.parse(text) as CopyMark).source === source) return { version, mark: JSON.parse(text) }
  }
  refuseCopy('The database is not empty, and is no copy of this one that could go on. Name an empty database.')
}

/** Inserts a page, if the mark is where this process has left it, and moves that on. */
function insertInto ({ name, columns }: CopyTable): string {
  const names = columns.map(quote).join(', ')
  const values = columns.map(({ kind }) => `?::${TYPES[kind]}[]`).join(', ')
  return `with moved as (update service_state set value = ? where name = '${MARK_NAME}' and value = ? returning 1)
    insert into ${name} (${names}) select page.* from moved, unnest(${values}) as page (${names})`
}

function refuseText (error: Error & { code?: string }, { name }: CopyTable): never {
  if (error.code !== 'invalid_text') throw error
  refuseCopy(`A text in "${name}" has the character U+0000, which PostgreSQL cannot store. Change it in the old database, and copy again.`)
}
