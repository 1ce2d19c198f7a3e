import { STATUS_CODES } from 'node:http'
import type { FastifySchema, RouteOptions } from 'fastify'
import type { ProblemCode, Problems } from '../../core/problems.ts'

type Responses = Record<string, { type?: string, description?: string }>

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
  if (schema.params) codes.push('uri_too_long') // the router's, of a part that is too long
  if (method !== 'GET') codes.push('invalid_json', 'body_too_large', 'unsupported_media_type') // any body is read
  if (method === 'POST') codes.push('cross_site')
  codes.push('bad_request', 'expectation_failed', 'headers_too_large', 'internal_error', 'database_unavailable', 'overloaded')
  const security = config?.open === undefined ? orInBody(schema, config) : []

  return {
    ...schema,
    ...security && { security },
    response: { ...describeSuccesses(schema.response as Responses), ...toResponses(codes, problems) }
  }
}

/** Where the handler itself looks for a token, the body may hold it as well, and then nothing else is needed. */
function orInBody ({ body, security }: FastifySchema, config: RouteOptions['config']): FastifySchema['security'] {
  return security && config?.tokens && body ? [...security, {}] : security
}

/** A route that says nothing of its answer has a success all the same. */
function describeSuccesses (responses: Responses = { 200: { type: 'null' } }): Responses {
  return Object.fromEntries(Object.entries(responses).map(([status, schema]) => {
    return [status, schema.description ? schema : { ...schema, 'x-response-description': STATUS_CODES[status] }]
  }))
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
