import { pageQuery, quote } from '../copy-tables.ts'
import { createClient } from './clients.ts'
import { numbered } from './dialect.ts'
import { toEngineError } from './errors.ts'
import type { Client, ClientConfig, QueryArrayResult } from 'pg'
import type { CopySide } from '../copy-sides.ts'
import type { CopyColumn, Row } from '../copy-tables.ts'

/** Counting, comparing and analyzing take longer than the answers of a service. */
const ANSWER_MILLISECONDS = 600_000

/** SQL with a `?` for each of its parameters. */
export type Sent = [sql: string, parameters?: unknown[]]

export async function connectForCopy (config: ClientConfig): Promise<Client> {
  const client = createClient(config, ANSWER_MILLISECONDS)
  await client.connect()
  return client
}

/**
 * Sends statements without waiting between them, and gives their results.
 * @throws the first error, as an engine's: those after it only say that the transaction has failed
 */
export async function send (client: Client, ...statements: Sent[]): Promise<QueryArrayResult[]> {
  const sent = statements.map(([sql, values]) => client.query({ text: values ? numbered(sql) : sql, values, rowMode: 'array' }))
  const outcomes = await Promise.allSettled(sent)
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw toEngineError(failed.reason)
  return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<QueryArrayResult>).value) // none has failed
}

/** Reads pages of tables on a connection. */
export function postgresReader (client: Client): CopySide['read'] {
  return async (table, range) => {
    const { sql, parameters } = pageQuery(table, range, toCell)
    const [{ rows }] = await send(client, [sql, parameters]) as [QueryArrayResult<Row>] // one for each statement
    return rows
  }
}

function toCell (column: CopyColumn): string {
  return column.kind === 'flag' ? `${quote(column)}::int` : quote(column)
}
