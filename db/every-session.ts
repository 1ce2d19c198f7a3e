import { sessionEnder } from './end-sessions.ts'
import type { AuditEntry, AuditedWrite } from './audit-chain.ts'
import type { Connection } from './connection.ts'

/** Sessions that one transaction ends. It keeps other writers waiting for some 20 ms. */
const SLICE = 500

const FIND_SLICE = `select rowid, id from sessions where rowid > ? and rowid <= ? order by rowid limit ${SLICE}`

/** The number of sessions that a transaction ended, and the last row that it looked at. */
interface EndedSlice { count: number, last: number }

export function everySessionRepository (connection: Connection, write: AuditedWrite) {
  const { $client: client } = connection
  const end = sessionEnder(connection)
  const lastRow = client.prepare<[], number>('select coalesce(max(rowid), 0) from sessions').pluck()
  const slice = client.prepare<[after: number, last: number], { rowid: number, id: string }>(FIND_SLICE)

  function endSlice (after: number, last: number): EndedSlice {
    const rows = slice.all(after, last)
    for (const { id } of rows) end.one(id)
    return { count: rows.length, last: rows.length < SLICE ? last : rows.at(-1)!.rowid } // a slice has one
  }

  return {
    /** Ends all sessions that there are now, in many transactions, each with its entry. Gives how many ended. */
    async end (entry?: AuditEntry<EndedSlice>): Promise<number> {
      const last = lastRow.get()! // there is a row, whatever it says
      let ended = 0
      for (let after = 0; after < last;) {
        const slice = await write(() => endSlice(after, last), entry)
        ended += slice.count
        after = slice.last
      }
      return ended
    }
  }
}
