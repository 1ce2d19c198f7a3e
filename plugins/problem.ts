import { STATUS_CODES } from 'node:http'
import fp from 'fastify-plugin'
import { Type } from 'typebox'
import type { FastifyPluginAsync } from 'fastify'
import type { Static } from 'typebox'

declare module 'fastify' {
  interface FastifyInstance {
    /** An error to throw: the refusal `code` of the catalogue. */
    problem: typeof problem
  }
  interface FastifyContextConfig {
    /** What this route refuses beside what its hooks and schemas refuse: for the OpenAPI document. */
    refusals?: ProblemCode[]
  }
}

/** Every refusal there is: its status, and in one sentence what the caller can do next. The key is the contract. */
export const catalogue = {
  bad_request: [400, 'The request cannot be understood: check its address, headers and body.'],
  validation_failed: [400, 'The request is not as documented: mend what `errors` points to.'],
  invalid_json: [400, 'The body is not valid JSON: check its syntax, and that it is not empty.'],
  missing_token: [401, 'A token is needed: send it in the Authorization header, as Bearer.'],
  invalid_token: [401, 'The token is not valid here: sign in again.'],
  token_expired: [401, 'The token has expired: refresh it, or sign in again.'],
  token_revoked: [401, 'The token was revoked: sign in again.'],
  wrong_token_type: [401, 'This is the wrong kind of token: send the kind that this operation documents.'],
  invalid_client: [401, 'These are not the credentials of a client: send the id and secret of one as Basic.'],
  invalid_credentials: [401, 'No account has this name and this password: check both.'],
  forbidden: [403, 'The token lacks the role that this needs: ask an administrator.'],
  wrong_password: [403, 'This is not the current password: check it and try again.'],
  account_disabled: [403, 'This account is disabled: ask an administrator.'],
  registration_closed: [403, 'Nobody can register here: ask an administrator for an account.'],
  not_found: [404, 'There is nothing here: check the address.'],
  method_not_allowed: [405, 'This address does not take this method: use one that the Allow header names.'],
  request_timeout: [408, 'The request took too long to arrive: send it again.'],
  username_taken: [409, 'Somebody has this username: choose another.'],
  email_taken: [409, 'An account has this e-mail address: sign in, or use another.'],
  last_admin: [409, 'This is the last administrator: make another one first.'],
  body_too_large: [413, 'The body is too large: send at most 16 KiB.'],
  uri_too_long: [414, 'The address is too long: shorten it.'],
  unsupported_media_type: [415, 'The body must be JSON or a form: say which in Content-Type.'],
  weak_password: [422, 'This password is too easy to guess: choose another.'],
  rate_limited: [429, 'Too many attempts: wait as long as Retry-After says.'],
  headers_too_large: [431, 'The headers are too large: send at most 16 KiB of them.'],
  internal_error: [500, 'Something went wrong here and was logged: try again, or tell the operator the X-Request-Id.'],
  busy: [503, 'Too many people are signing in: try again in a moment.'],
  shutting_down: [503, 'The service is stopping: try again in a moment.'],
  overloaded: [503, 'The service has more to do than it can: wait as long as Retry-After says.'],
  not_verified: [503, 'Whether the token is good cannot be said now: try again in a moment.'],
  database_unavailable: [503, 'The database does not answer: try again in a moment.']
} as const satisfies Record<string, readonly [status: number, detail: string]>

export type ProblemCode = keyof typeof catalogue

/** The one shape of a refusal. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() })))
}, { $id: 'Problem', description: 'A refusal (RFC 9457). `code` is stable, the texts are not.' })

/** The body of the refusal `code`. */
export function problemBody (code: ProblemCode, detail: string = catalogue[code][1]): Static<typeof Problem> {
  const [status] = catalogue[code]
  return { type: 'about:blank', title: STATUS_CODES[status]!, status, detail, code }
}

interface Extra {
  /** Takes the place of the catalogue's sentence. */
  detail?: string
  /** Sent with the refusal. */
  headers?: Record<string, string>
  /** For the log alone. */
  cause?: unknown
}

function problem (code: ProblemCode, { cause, ...extra }: Extra = {}): Error {
  return Object.assign(new Error(code, { cause }), { code, ...extra })
}

const problemPlugin: FastifyPluginAsync = async (fastify) => {
  fastify.addSchema(Problem)
  fastify.decorate('problem', problem)
}

export default fp(problemPlugin, { name: 'problem' })
