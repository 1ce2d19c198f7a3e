import { STATUS_CODES } from 'node:http'
import type { FastifySchema, RouteOptions } from 'fastify'
import type { ProblemCode, Problems } from '../../core/problems.ts'

/** Bare schemas: @fastify/swagger wraps them itself. */
const RESPONSE_HEADERS: Record<number, Record<string, object>> = {
  401: { 'WWW-Authenticate': { type: 'string', description: 'The challenge of RFC 6750' } },
  405: { Allow: { type: 'string', description: 'The methods that this address takes' } },
  429: { 'Retry-After': { type: 'integer', description: 'Seconds to wait before the next try' } },
  503: { 'Retry-After': { type: 'integer', description: 'Seconds to wait before the next try' } }
}

/** A route's schema with every refusal: what its handler and its hooks refuse, and what any route may. */
export function documentRoute (schema: FastifySchema, { config, method }: RouteOptions, problems: Problems): FastifySchema {
  const codes: ProblemCode[] = [...config?.refusals ?? []]
  if (schema.body ?? schema.querystring ?? schema.params) codes.push('validation_failed')
  if (schema.params) codes.push('bad_request', 'uri_too_long') // the router's, of a part that it cannot decode, or that is too long
  if (method !== 'GET') codes.push('invalid_json', 'body_too_large', 'unsupported_media_type') // any body is read
  codes.push('internal_error', 'database_unavailable', 'overloaded')

  return {
    ...schema,
    ...schema.body !== undefined && { consumes: ['application/json', 'application/x-www-form-urlencoded'] },
    response: { ...schema.response as object, ...toResponses(codes, problems) }
  }
}

function toResponses (refusals: ProblemCode[], problems: Problems) {
  const codes = problems.codes().filter((code) => refusals.includes(code))
  const byStatus = Object.groupBy(codes, (code) => problems.bodyOf(code).status)
  return Object.fromEntries(Object.entries(byStatus).map(([status, codes = []]) => [status, {
    description: `${STATUS_CODES[status]}: ${codes.map((code) => `\`${code}\``).join(', ')}`,
    headers: RESPONSE_HEADERS[Number(status)],
    content: {
      'application/problem+json': {
        schema: { $ref: 'Problem#' },
        examples: Object.fromEntries(codes.map((code) => [code, { value: problems.bodyOf(code) }]))
      }
    }
  }]))
}
