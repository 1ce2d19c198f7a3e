import type { ServerInspection } from './postgres/inspect.ts'

/**
 * Examines a PostgreSQL server and a database, and changes nothing.
 * @throws the server's or the system's error, or `wrong_version` or `wrong_setting` with a sentence
 */
export async function inspectServer (url: string, leaseMilliseconds: number): Promise<ServerInspection> {
  const { inspectServer } = await import('./postgres/inspect.ts') // with `pg`, which nobody else needs
  return inspectServer(url, leaseMilliseconds)
}
