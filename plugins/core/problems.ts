import { STATUS_CODES } from 'node:http'
import fp from 'fastify-plugin'
import { Type } from 'typebox'
import type { FastifyPluginAsync } from 'fastify'
import type { Static } from 'typebox'

/** The status of a refusal, one sentence that says what the caller can do next, and its challenge (RFC 9110, section 11.6.1). */
export type ProblemKind = readonly [status: number, detail: string, challenge?: string]

const CORE = {
  bad_request: [400, 'The request cannot be read. Check its address, headers and body.'],
  validation_failed: [400, 'Fix the fields listed in `errors`.'],
  invalid_json: [400, 'The body is not valid JSON. Check its syntax, and that it is not empty.'],
  missing_token: [401, 'Send a token in the Authorization header, as Bearer.', 'Bearer'],
  invalid_token: [401, 'The token is not valid. Sign in again.'],
  token_expired: [401, 'The token has expired. Refresh it, or sign in again.'],
  token_revoked: [401, 'The token was revoked. Sign in again.'],
  wrong_token_type: [401, 'This operation takes the other kind of token. Send the kind that it documents.'],
  invalid_credentials: [401, 'The name or the password is wrong. Check both.', 'Bearer'],
  forbidden: [403, 'Your token lacks the role that this operation needs. Ask an administrator.'],
  wrong_password: [403, 'The current password is wrong. Check it and try again.'],
  account_disabled: [403, 'This account is disabled. Ask an administrator.'],
  registration_closed: [403, 'Registration is closed. Ask an administrator for an account.'],
  not_found: [404, 'Nothing was found here. Check the address.'],
  method_not_allowed: [405, 'This address does not take this method. Use one from the Allow header.'],
  request_timeout: [408, 'The request took too long to arrive. Send it again.'],
  username_taken: [409, 'This username is taken. Choose another.'],
  email_taken: [409, 'An account with this e-mail address exists. Sign in, or use another address.'],
  last_admin: [409, 'This is the last administrator. Make another one first.'],
  body_too_large: [413, 'The body is too large. Send at most 16 KiB.'],
  uri_too_long: [414, 'The address is too long. Shorten it.'],
  unsupported_media_type: [415, 'Send the body as JSON or as a form, and name its type in Content-Type.'],
  weak_password: [422, 'This password is easy to guess. Choose another.'],
  rate_limited: [429, 'Too many attempts. Wait as long as Retry-After says.'],
  headers_too_large: [431, 'The headers are too large. Send at most 16 KiB of them.'],
  internal_error: [500, 'Something went wrong on our side and was logged. Try again, or give the operator the X-Request-Id.'],
  busy: [503, 'Too many people are signing in. Try again in a moment.'],
  shutting_down: [503, 'The service is stopping. Try again in a moment.'],
  overloaded: [503, 'The service is overloaded. Wait as long as Retry-After says.'],
  database_unavailable: [503, 'The database does not answer. Try again in a moment.']
} as const satisfies Record<string, ProblemKind>

type CoreCode = keyof typeof CORE

declare module 'fastify' {
  /** The codes of all refusals. A feature adds its own: `interface ProblemCodes { mail_unavailable: true }`. */
  interface ProblemCodes extends Record<CoreCode, true> {}

  interface FastifyInstance {
    /** Makes the error that refuses a request: `throw fastify.problem('not_found')`. */
    problem: (code: ProblemCode, extra?: ProblemExtra) => Error
    problems: Problems
  }
  interface FastifyContextConfig {
    /** The refusals of the route's handler, for the OpenAPI document. Hooks add their own. */
    refusals?: ProblemCode[]
  }
}

export type ProblemCode = keyof import('fastify').ProblemCodes

export interface Problems {
  /** Adds the refusals of a feature. */
  add: (kinds: Partial<Record<ProblemCode, ProblemKind>>) => void
  /** Every code, sorted by status. */
  codes: () => ProblemCode[]
  /** The kind of a refusal; undefined for an unknown code. */
  kindOf: (code: string) => ProblemKind | undefined
  /** The body of a refusal, with the catalogue's sentence. */
  bodyOf: (code: ProblemCode) => Static<typeof Problem>
}

interface ProblemExtra {
  /** Takes the place of the catalogue's sentence. */
  detail?: string
  /** Sent with the refusal. */
  headers?: Record<string, string>
  /** For the log alone. */
  cause?: unknown
  /** For operators; never sent. */
  refusal?: object
}

/** The one shape of a refusal (RFC 9457). */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() })))
}, { $id: 'Problem', description: 'A refusal (RFC 9457). `code` is stable, the texts are not.' })

/** The kind of one of the core's refusals, where there is no server to ask. */
export function coreProblem (code: string): ProblemKind | undefined {
  return Object.hasOwn(CORE, code) ? CORE[code as CoreCode] : undefined
}

/** The body of a refusal. */
export function problemBody (code: string, [status, standard]: ProblemKind, detail: string = standard): Static<typeof Problem> {
  return { type: 'about:blank', title: STATUS_CODES[status]!, status, detail, code } // every kind has a status that Node knows
}

const problemsPlugin: FastifyPluginAsync = async (fastify) => {
  const catalogue = new Map<string, ProblemKind>(Object.entries(CORE))

  function add (kinds: Partial<Record<ProblemCode, ProblemKind>>) {
    for (const [code, kind] of Object.entries(kinds)) catalogue.set(code, kind)
  }

  function codes (): ProblemCode[] {
    const sorted = [...catalogue].sort(([, [a]], [, [b]]) => a - b)
    return sorted.map(([code]) => code as ProblemCode) // only `add` and the core add codes
  }

  function problem (code: ProblemCode, { cause, ...extra }: ProblemExtra = {}): Error {
    const [, detail] = catalogue.get(code)!
    return Object.assign(new Error(code, { cause }), { code, detail, ...extra })
  }

  fastify.addSchema(Problem)
  fastify.decorate('problems', {
    add,
    codes,
    kindOf: (code) => catalogue.get(code),
    bodyOf: (code) => problemBody(code, catalogue.get(code)!) // every code is in the catalogue
  })
  fastify.decorate('problem', problem)
}

export default fp(problemsPlugin, { name: 'problems' })
