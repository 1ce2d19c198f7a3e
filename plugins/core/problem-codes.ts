import type { FastifyError } from 'fastify'
import type { ProblemCode, Problems } from './problems.ts'

/** Errors of Fastify, its plugins, Node and the database. */
const FOREIGN_CODES: Array<[RegExp, ProblemCode]> = [
  [/^FST_ERR_VALIDATION$/, 'validation_failed'],
  [/^FST_ERR_CTP_(INVALID_JSON_BODY|EMPTY_JSON_BODY)$/, 'invalid_json'],
  [/^FA?ST_JWT_NO_AUTHORIZATION/, 'missing_token'],
  [/^FA?ST_JWT_/, 'invalid_token'],
  [/^invalid_text$/, 'bad_request'], // U+0000, which PostgreSQL does not store
  [/^HPE_HEADER_OVERFLOW$/, 'headers_too_large'],
  [/^ERR_HTTP_REQUEST_TIMEOUT$/, 'request_timeout']
]

/** Errors that a fork's own routes throw through `fastify.httpErrors`, and the rest of Fastify's. */
const STATUS_CODES: Record<number, ProblemCode> = {
  401: 'invalid_token',
  403: 'forbidden',
  404: 'not_found',
  413: 'body_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
  429: 'rate_limited'
}

/** The code of the refusal that answers an error. An error that nobody foresaw is an `internal_error`. */
export function codeOf ({ code = '', statusCode = 500 }: Partial<FastifyError>, { kindOf }: Pick<Problems, 'kindOf'>): ProblemCode {
  if (kindOf(code)) return code as ProblemCode // it was found under this code
  const foreign = FOREIGN_CODES.find(([pattern]) => pattern.test(code))
  if (foreign) return foreign[1]
  if (statusCode < 400 || statusCode > 499) return 'internal_error'
  return STATUS_CODES[statusCode] ?? 'bad_request'
}
