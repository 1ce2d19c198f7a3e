import { createClient } from './clients.ts'
import { findVersion } from './migrate.ts'
import { parsePostgresUrl } from './url.ts'
import type { Recorded } from '../sqlite/inspect.ts'

/**
 * Reads the version of a database and what the service recorded in it, and changes nothing.
 * @throws the server's error when it cannot be asked
 */
export async function readPostgresState (url: string): Promise<Recorded> {
  const client = createClient(parsePostgresUrl(url))
  await client.connect()
  try {
    const version = await findVersion(client)
    if (version === 'empty' || version === 'foreign') return { version, state: {} }
    const { rows } = await client.query<{ name: string, value: string }>('select name, value from service_state')
    return { version, state: Object.fromEntries(rows.map(({ name, value }) => [name, value])) }
  } finally {
    client.end().catch(() => {})
  }
}
