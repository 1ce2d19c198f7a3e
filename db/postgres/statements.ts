import type { Writable } from 'node:stream'
import type { ClientBase, QueryArrayResult } from 'pg'
import type { Compiled } from '../engine.ts'

const NOTHING: QueryArrayResult = { rows: [], rowCount: 0, command: '', oid: 0, fields: [] }

/**
 * Builds the function that sends a statement. It throws at once what cannot be sent, because then the commit must not be sent
 * either. A statement that is sent again gets a name, so that the server plans it once for each connection; not behind a pooler,
 * where the next transaction may be on another connection of the server's.
 */
export function statementSender (isNamed: () => boolean) {
  const names = new WeakMap<Compiled, string>()
  let count = 0

  function nameOf (statement: Compiled): string | undefined {
    const known = names.get(statement)
    if (known) return isNamed() ? known : undefined
    names.set(statement, `postern${++count}`)
    return undefined
  }

  return (client: ClientBase, statement: Compiled, parameters: unknown[]): Promise<QueryArrayResult> => {
    if (parameters.some((value) => typeof value === 'string' && value.includes('\0'))) return Promise.resolve(withoutNul(statement))
    return client.query({ name: nameOf(statement), text: statement.sql, values: parameters, rowMode: 'array' })
  }
}

/** Lets all that this turn of the event loop sends leave in one packet. A refresh takes a tenth less of the processor. */
export function sendTogether (client: ClientBase) {
  const { connection: { stream } } = client as unknown as { connection: { stream: Writable } } // which pg's types leave out
  stream.cork()
  process.nextTick(() => stream.uncork())
}

/** PostgreSQL has no U+0000 in text: nothing that is stored equals it, and it cannot be stored. */
function withoutNul ({ sql }: Compiled): QueryArrayResult {
  if (/^\s*(select|delete)/.test(sql)) return NOTHING
  throw Object.assign(new Error('A text has the character U+0000, which the database cannot store.'), { code: 'invalid_text' })
}
