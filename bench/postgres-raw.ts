import pg from 'pg'
import { FIND, UPDATE } from '../db/rotation-rows.ts'
import type { Change, Row } from '../db/rotation-rows.ts'

const BEGIN = "begin; set local lock_timeout = '1s'; set local idle_in_transaction_session_timeout = '2s'"

/**
 * The bare driver, which sends the statements of a rotation in a transaction as the repository does: with the same settings,
 * prepared, and without waiting where no answer is needed.
 */
export function rawSessions (url: string, connections: number) {
  const pool = new pg.Pool({ connectionString: url, max: connections, pipeline: true })
  const find = { name: 'find', text: `${numbered(FIND)} for update`, rowMode: 'array' } as const
  const update = { name: 'update', text: numbered(UPDATE) }

  return {
    async advance (id: string, lifetime: number) {
      const now = Date.now()
      const client = await pool.connect()
      const begun = client.query(BEGIN)
      const { rows: [row] } = await client.query<Row>({ ...find, values: [id] })
      const [, generation, , , expiresAt, , ip, userAgent, entries] = row!
      const change: Change = [Number(generation) + 1, now, Number(expiresAt), now + lifetime, ip, userAgent, entries, id]
      const updated = client.query({ ...update, values: change })
      await Promise.all([begun, updated, client.query('commit')])
      client.release()
    },
    close: () => pool.end()
  }
}

function numbered (sql: string): string {
  let count = 0
  return sql.replaceAll('?', () => `$${++count}`)
}
