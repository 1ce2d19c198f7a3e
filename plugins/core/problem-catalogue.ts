/** The status of a refusal, one sentence that says what the caller can do next, and its challenge (RFC 9110, section 11.6.1). */
export type ProblemKind = readonly [status: number, detail: string, challenge?: string]

/** The refusals of the core. Features add theirs (`problems.add`). */
export const CORE_PROBLEMS = {
  bad_request: [400, 'The request cannot be read. Check its address, headers and body.'],
  validation_failed: [400, 'Fix the fields listed in `errors`.'],
  invalid_json: [400, 'The body is not valid JSON. Check its syntax.'],
  missing_token: [401, 'Send a token in the Authorization header, as Bearer.', 'Bearer'],
  invalid_token: [401, 'The token is not valid. Sign in again.'],
  token_expired: [401, 'The token has expired. Refresh it, or sign in again.'],
  token_revoked: [401, 'The token was revoked. Sign in again.'],
  wrong_token_type: [401, 'This is not an access token. Send the access token.'],
  invalid_credentials: [401, 'The name or the password is wrong. Check both.', 'Bearer'],
  forbidden: [403, 'Your token lacks the role that this operation needs. Ask an administrator.'],
  wrong_password: [403, 'The current password is wrong. Check it and try again.'],
  account_disabled: [403, 'This account is disabled. Ask an administrator.'],
  cross_site: [403, 'A page of another site sent this form. Send JSON, or list the site in CORS_ORIGIN.'],
  registration_closed: [403, 'Registration is closed. Ask an administrator for an account.'],
  not_found: [404, 'Nothing was found here. Check the address.'],
  method_not_allowed: [405, 'This address does not take this method. Use one from the Allow header.'],
  request_timeout: [408, 'The request took too long to arrive. Send it again.'],
  username_taken: [409, 'This username is taken. Choose another.'],
  email_taken: [409, 'An account with this e-mail address exists. Sign in, or use another address.'],
  last_admin: [409, 'This is the last administrator. Make another one first.'],
  body_too_large: [413, 'The body is too large. Send at most 16 KiB.'],
  uri_too_long: [414, 'The address is too long. Shorten it.'],
  unsupported_media_type: [415, 'Send `application/json` or `application/x-www-form-urlencoded`, and say so in Content-Type.'],
  expectation_failed: [417, 'Leave out the Expect header, or send `100-continue` in it.'],
  weak_password: [422, 'This password is easy to guess. Choose another.'],
  rate_limited: [429, 'Too many attempts. Wait as long as Retry-After says.'],
  headers_too_large: [431, 'The headers are too large. Send at most 16 KiB of them.'],
  internal_error: [500, 'Something went wrong on our side and was logged. Try again, or give the operator the X-Request-Id.'],
  busy: [503, 'Too many people are signing in. Try again in a moment.'],
  shutting_down: [503, 'The service is stopping. Try again in a moment.'],
  overloaded: [503, 'The service is overloaded. Wait as long as Retry-After says.'],
  database_unavailable: [503, 'The database does not answer. Try again in a moment.']
} as const satisfies Record<string, ProblemKind>

export type CoreCode = keyof typeof CORE_PROBLEMS

/** The kind of one of the core's refusals, where there is no server to ask. */
export function coreProblem (code: string): ProblemKind | undefined {
  return Object.hasOwn(CORE_PROBLEMS, code) ? CORE_PROBLEMS[code as CoreCode] : undefined
}
