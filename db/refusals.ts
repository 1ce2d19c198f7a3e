/** The code of the refusal when a value is taken, by the name of the constraint. */
const CODES: Record<string, string> = {
  users_username_key: 'username_taken',
  users_email: 'email_taken'
}

/** Gives the engine's refusal of a name that is taken a stable `code`. The constraint decides who came first. */
export function toNameConflict (error: Error & { constraint?: string }): never {
  const code = CODES[error.constraint ?? '']
  throw code ? withCode(code, error) : error
}

export function withCode (code: string, cause?: unknown): Error {
  return Object.assign(new Error(code, { cause }), { code })
}
