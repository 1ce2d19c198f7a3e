/** SQLSTATEs of a server that does not answer now: connection, resources, shutdown, read-only, locks, timeouts, conflicts. */
const UNAVAILABLE = /^(08|53|57|58)|^(25006|25P03|55P03|40001|40P01)$/

/** Of these the connection, and with it the whole pool, is of no more use: the server restarts, or another is the primary. */
const LOST = /^(08|57P0)|^25006$/

const NETWORK = /^(E[A-Z]+|ERR_(SSL|TLS)_.*)$/

const CONNECTION_ENDED = /^(Connection terminated|Query read timeout|Client has encountered|Client was closed|timeout exce|timeout exp)/

interface ServerError { code?: string, constraint?: string, message: string }

/** The operation may be run once more: the server undid it because of another. */
export function isConflict (error: unknown): boolean {
  const { code } = error as ServerError
  return code === '40001' || code === '40P01'
}

/** The connection cannot be used any more, or its server should not be. */
export function isConnectionLost (error: unknown): boolean {
  const { code = '', message } = error as ServerError
  return LOST.test(code) || NETWORK.test(code) || CONNECTION_ENDED.test(message)
}

/** Gives PostgreSQL's errors the codes of an engine; others stay as they are. */
export function toEngineError (error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code = '', constraint, message } = error as ServerError
  if (code === '23505') return Object.assign(new Error(message, { cause: error }), { code: 'taken', constraint })
  if (code === '22012') return Object.assign(new Error('token_revoked', { cause: error }), { code: 'token_revoked' }) // failIfRevoked
  if (code === '22021' || code === '22P05') return Object.assign(new Error(message, { cause: error }), { code: 'invalid_text' })
  if (!UNAVAILABLE.test(code) && !isConnectionLost(error)) return error
  return Object.assign(new Error(message, { cause: error }), { code: 'database_unavailable' })
}
