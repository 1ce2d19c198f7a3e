import { COUNT_ROWS, pageQuery } from '../copy-tables.ts'
import type Client from 'better-sqlite3'
import type { CopySide } from '../copy-sides.ts'
import type { Row } from '../copy-tables.ts'

/** Reads pages of tables on a connection. */
export function sqliteReader (client: Client.Database): CopySide['read'] {
  const prepared = new Map<string, Client.Statement<unknown[], Row>>()

  return async (table, range) => {
    const { sql, parameters } = pageQuery(table, range)
    const statement = prepared.get(sql) ?? client.prepare<unknown[], Row>(sql).raw()
    prepared.set(sql, statement)
    return statement.all(parameters)
  }
}

export function countRows (client: Client.Database): number {
  return Number(client.prepare(COUNT_ROWS).pluck().get())
}
