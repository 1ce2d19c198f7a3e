import { STATUS_CODES as HTTP_STATUS } from 'node:http'
import sensible from '@fastify/sensible'
import fp from 'fastify-plugin'
import { catalogue, problemBody } from './problem.ts'
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Socket } from 'node:net'
import type { Static } from 'typebox'
import type { Problem, ProblemCode } from './problem.ts'

/** A body of 16 KiB can have some thousand faults, and the answer to it should not be ten times as long. */
const MOST_FAULTS = 20
const RETRY_AFTER_SECONDS = '1'
const HANG_UP_MILLISECONDS = 1000

interface Thrown extends FastifyError {
  detail?: string
  headers?: Record<string, string>
  /** What http-errors, and so `fastify.httpErrors`, say: whether the message is meant for the caller. */
  expose?: boolean
}

/** What Fastify, its plugins, Node and SQLite throw. */
const FOREIGN_CODES: Array<[RegExp, ProblemCode]> = [
  [/^FST_ERR_VALIDATION$/, 'validation_failed'],
  [/^FST_ERR_CTP_(INVALID_JSON_BODY|EMPTY_JSON_BODY)$/, 'invalid_json'],
  [/^FA?ST_JWT_NO_AUTHORIZATION/, 'missing_token'],
  [/^FA?ST_JWT_/, 'invalid_token'],
  [/^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|PROTOCOL)/, 'database_unavailable'],
  [/^HPE_HEADER_OVERFLOW$/, 'headers_too_large'],
  [/^ERR_HTTP_REQUEST_TIMEOUT$/, 'request_timeout']
]

/** What a fork's own routes throw through `fastify.httpErrors`, and what is left of Fastify's. */
const STATUS_CODES: Record<number, ProblemCode> = {
  401: 'invalid_token', 403: 'forbidden', 404: 'not_found', 413: 'body_too_large', 414: 'uri_too_long', 415: 'unsupported_media_type', 429: 'rate_limited'
}

/** The refusal that answers whatever was thrown; what nobody foresaw is an `internal_error`. */
export function codeOf ({ code = '', statusCode = 500 }: Partial<FastifyError>): ProblemCode {
  if (Object.hasOwn(catalogue, code)) return code as ProblemCode // as was just looked up
  const foreign = FOREIGN_CODES.find(([pattern]) => pattern.test(code))
  if (foreign) return foreign[1]
  if (statusCode < 400 || statusCode > 499) return 'internal_error'
  return STATUS_CODES[statusCode] ?? 'bad_request'
}

/** The one place where a refusal becomes an answer, and a line in the log. */
function handleError (thrown: Thrown | null | undefined, request: FastifyRequest, reply: FastifyReply) {
  const error: Partial<Thrown> = thrown ?? {} // JavaScript throws anything
  const problem = problemOf(error)
  const { code, status } = problem
  const line = { event: 'refused', code, status, method: request.method, route: request.routeOptions.url, ip: request.ip }
  request.server.metrics?.refused(code, request)
  const isMeant = code === error.code && thrown?.cause === undefined
  if (status < 500) request.log.info(line, 'refused')
  else if (isMeant) request.log.warn(line, 'refused')
  else request.log.error({ ...line, err: thrown }, 'failed')

  const challenge = challengeOf(codeOf(error))
  if (challenge) reply.header('www-authenticate', challenge)
  if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  if (error.validation) problem.errors = error.validation.slice(0, MOST_FAULTS).map(pointed)
  return reply.code(status).headers(error.headers ?? {}).type('application/problem+json').send(problem)
}

/** The body that answers whatever was thrown. What a fork's own route throws through `fastify.httpErrors` keeps its status. */
function problemOf (error: Partial<Thrown>): Static<typeof Problem> {
  const code = codeOf(error)
  const problem = problemBody(code, code === error.code ? error.detail : undefined) // what others call so is not meant for callers
  const { expose, message = '', statusCode: status = problem.status } = error
  if (expose === undefined || status === problem.status) return problem

  const title = HTTP_STATUS[status] ?? problem.title
  return { ...problem, status, title, code: title.toLowerCase().replaceAll(/\W+/g, '_'), detail: expose ? message : problem.detail }
}

/** Answers an address that the router cannot read. No hook runs for it, so what hooks add to other answers is added here. */
export function refuseAddress (error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const { errorHandler, securityHeaders } = request.server
  errorHandler(error, request, reply.headers({ ...securityHeaders, 'x-request-id': request.id }))
}

/** Answers what never became a request (broken HTTP, headers too large or too slow) in the shape of every other refusal. */
export function refuseConnection (error: FastifyError, socket: Socket) {
  if (!socket.writable || error.code === 'ECONNRESET') return socket.destroy()
  const problem = problemBody(codeOf({ ...error, statusCode: 400 }))
  const body = JSON.stringify(problem)
  socket.setTimeout(HANG_UP_MILLISECONDS) // whoever does not hang up is not waited for
  socket.end([
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'X-Content-Type-Options: nosniff',
    ...problem.status === 503 ? [`Retry-After: ${RETRY_AFTER_SECONDS}`] : [],
    'Connection: close',
    '',
    body
  ].join('\r\n'))
}

/** RFC 6750, section 3: no error is named to who presented no token. */
function challengeOf (code: ProblemCode): string | undefined {
  const [status, detail] = catalogue[code]
  if (code === 'missing_token' || code === 'invalid_credentials') return 'Bearer'
  if (code === 'invalid_client') return 'Basic realm="postern", charset="UTF-8"'
  if (status === 401) return `Bearer error="invalid_token", error_description="${detail}"`
  if (code === 'forbidden') return `Bearer error="insufficient_scope", error_description="${detail}"`
}

type ValidationError = NonNullable<FastifyError['validation']>[number]

function pointed ({ instancePath, keyword, message = '', params }: ValidationError) {
  const unknown = params.additionalProperty
  const key = unknown ?? params.missingProperty
  const pointer = key === undefined ? instancePath : `${instancePath}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1').slice(0, 64)}`
  if (unknown !== undefined) return { pointer, detail: 'is not a known field' }
  return { pointer, detail: keyword === 'pattern' ? 'has characters that are not allowed here' : message }
}

const errors: FastifyPluginAsync = async (fastify) => {
  await fastify.register(sensible)
  fastify.setErrorHandler(handleError)
  fastify.setNotFoundHandler(async () => { throw fastify.problem('not_found') })
}

export default fp(errors, { name: 'errors', dependencies: ['problem'] })
