/** The code of the refusal when a value of such a column is taken. */
const CODES: Record<string, string> = {
  'users.username_key': 'username_taken',
  'users.email': 'email_taken'
}

/** Runs a statement. The constraint decides who came first; this gives its refusal a stable `code`. */
export function nameConflict<T> (statement: () => T): T {
  try {
    return statement()
  } catch (cause) {
    const [, column = ''] = /UNIQUE constraint failed: (\S+)$/.exec(String(cause)) ?? []
    const code = CODES[column]
    throw code ? withCode(code, cause) : cause
  }
}

export function withCode (code: string, cause?: unknown): Error {
  return Object.assign(new Error(code, { cause }), { code })
}
