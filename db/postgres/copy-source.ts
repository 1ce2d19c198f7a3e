import { assertComplete } from '../copy-mark.ts'
import { COUNT_ROWS } from '../copy-tables.ts'
import { assertVersion } from '../migrations.ts'
import { connectForCopy, postgresReader, send } from './copy-side.ts'
import { findVersion } from './migrate.ts'
import { parsePostgresUrl } from './url.ts'
import type { CopySource } from '../copy-sides.ts'

/** One moment of the database, whoever goes on writing: and nothing is written by us. */
const BEGIN = `begin isolation level repeatable read read only;
  set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0`

const STATE = 'select name, value from service_state'
const COUNT_INSTANCES = 'select count(*) from instances'
const LAST_SEQUENCE = "select value from heads where name = 'revocations'"
const WAITING_EVENTS = 'select event from audit_inbox order by id'

/**
 * Opens a database as it is now.
 * @throws Error with a sentence when it cannot be used, or is of another version
 */
export async function openPostgresSource (url: string, name: string): Promise<CopySource> {
  const client = await connectForCopy(parsePostgresUrl(url))
  const column = async <T>(sql: string) => (await send(client, [sql]))[0]!.rows.map(([value]) => value as T) // as the statement says
  try {
    await send(client, [BEGIN])
    assertVersion(await findVersion(client))
    assertComplete(Object.fromEntries((await send(client, [STATE]))[0]!.rows)) // there is a result for the statement
  } catch (error) {
    client.end().catch(() => {})
    throw error
  }

  return {
    name,
    read: postgresReader(client),
    countRows: async () => Number((await column<number>(COUNT_ROWS))[0]),
    countInstances: async () => Number((await column<number>(COUNT_INSTANCES))[0]),
    lastSequence: async () => Number((await column<number>(LAST_SEQUENCE))[0]),
    waitingEvents: () => column<string>(WAITING_EVENTS),
    close: () => client.end()
  }
}
