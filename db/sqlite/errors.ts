const UNAVAILABLE = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|PROTOCOL)/

const UNIQUE = /^UNIQUE constraint failed: (\w+)\.(\w+)$/

/** Gives SQLite's errors the codes of an engine; others stay as they are. */
export function toEngineError (error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code = '' } = error as NodeJS.ErrnoException
  if (UNAVAILABLE.test(code)) return Object.assign(new Error(error.message, { cause: error }), { code: 'database_unavailable' })
  const [, table, column] = UNIQUE.exec(error.message) ?? []
  if (!table) return error
  return Object.assign(new Error(error.message, { cause: error }), { code: 'taken', constraint: `${table}_${column}` })
}
