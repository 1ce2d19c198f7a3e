import { STATUS_CODES } from 'node:http'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import manifest from '../package.json' with { type: 'json' }
import { catalogue, problemBody } from './problem.ts'
import type { FastifyInstance, FastifyPluginAsync, FastifySchema, RouteOptions } from 'fastify'
import type { ProblemCode } from './problem.ts'

/** What Swagger UI needs, and nothing from elsewhere. */
const UI_POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const DESCRIPTION = `To try it: register or sign in below, copy the \`access_token\` of the answer, press **Authorize** and paste it. Then read the secret.

Every refusal is a problem (RFC 9457) whose \`code\` is stable.`

/** How many answers of the docs are given at the same time. */
const MOST_OPEN = 100

/** Relative to the document, so that it holds under whatever path a gateway gives the service. */
const SERVERS = [{ url: '..' }]

const RESPONSE_HEADERS: Record<number, Record<string, object>> = {
  401: { 'WWW-Authenticate': { description: 'The challenge of RFC 6750', schema: { type: 'string' } } },
  405: { Allow: { description: 'The methods that this address takes', schema: { type: 'string' } } },
  429: { 'Retry-After': { description: 'In how many seconds to try again', schema: { type: 'integer' } } },
  503: { 'Retry-After': { description: 'In how many seconds to try again', schema: { type: 'integer' } } }
}

/** The OpenAPI document at /docs/json and Swagger UI at /docs. What hooks and schemas refuse is documented from them, not by hand. */
const swaggerPlugin: FastifyPluginAsync = async (fastify) => {
  if (!fastify.config.docs) return

  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Postern', version: manifest.version, description: DESCRIPTION, license: { name: manifest.license, identifier: manifest.license } },
      tags: [
        { name: 'auth', description: 'Register, sign in, refresh, sign out' },
        { name: 'account', description: 'One\'s own account and sessions' },
        { name: 'users', description: 'For administrators' },
        { name: 'audit', description: 'What happened, and why a token is refused: for administrators' },
        { name: 'secret', description: 'An example of what a token opens' },
        { name: 'gateway', description: 'For what stands in front of services, and for services that verify tokens themselves' },
        { name: 'service', description: 'What gateways and operators ask' }
      ],
      components: {
        securitySchemes: {
          accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The `access_token` of an answer' },
          refreshToken: { type: 'http', scheme: 'bearer', bearerFormat: 'prt_…', description: 'The `refresh_token` of an answer' },
          client: { type: 'http', scheme: 'basic', description: 'What `npm run cli -- clients create` printed' }
        }
      }
    },
    refResolver: { buildLocalReference: (json) => String(json.$id) },
    transformObject: (document) => ({ ...'openapiObject' in document && document.openapiObject, servers: SERVERS }),
    transform: ({ schema, url, route }) => ({ schema: schema && documented(schema, route), url })
  })
  await fastify.register(async (docs) => {
    boundOpen(docs)
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      indexPrefix: '.', // relative, as all that the page asks for
      staticCSP: UI_POLICY,
      uiConfig: { deepLinking: true, persistAuthorization: true, tryItOutEnabled: true }
    })
  })
}

/**
 * These are the largest answers that anybody can ask for, and some keep a file open until they are read. Who does not read
 * them could fill the memory and use up the open files, so there are so many at a time and no more.
 */
function boundOpen (docs: FastifyInstance) {
  let open = 0
  docs.addHook('onRequest', (_request, { raw: response }, done) => {
    if (open >= MOST_OPEN || !response.socket) return done(docs.problem('overloaded')) // without one it waits for the answer before it
    open++
    response.once('close', () => { open-- })
    done()
  })
}

/** A route's schema with what its hooks add to it: the security that they demand and the refusals that they throw. */
function documented (schema: FastifySchema, { config, method }: RouteOptions): FastifySchema {
  const codes: ProblemCode[] = [...config?.refusals ?? []]
  if (config?.access) codes.push('missing_token', 'invalid_token', 'token_expired', 'token_revoked', 'wrong_token_type')
  if (config?.isForClients) codes.push('invalid_client')
  if (config?.access?.role) codes.push('forbidden')
  if (schema.body ?? schema.querystring ?? schema.params) codes.push('validation_failed')
  if (schema.params) codes.push('bad_request', 'uri_too_long') // what the router makes of a part that it cannot decode, or that is too long
  if (method !== 'GET') codes.push('invalid_json', 'body_too_large', 'unsupported_media_type') // a body is read whether or not one is wanted
  if (config?.isLimited) codes.push('rate_limited')
  codes.push('internal_error', 'database_unavailable', 'overloaded')

  return {
    ...schema,
    ...config?.access && { security: [{ accessToken: [] }] },
    ...config?.isForClients && { security: [{ client: [] }] },
    ...schema.body !== undefined && { consumes: ['application/json', 'application/x-www-form-urlencoded'] },
    response: { ...schema.response as object, ...refusals(codes) }
  }
}

function refusals (codes: ProblemCode[]) {
  const byStatus = Object.groupBy([...new Set(codes)].sort((a, b) => catalogue[a][0] - catalogue[b][0]), (code) => catalogue[code][0])
  return Object.fromEntries(Object.entries(byStatus).map(([status, codes = []]) => [status, {
    description: `${STATUS_CODES[status]}: ${codes.map((code) => `\`${code}\``).join(', ')}`,
    headers: RESPONSE_HEADERS[Number(status)],
    content: {
      'application/problem+json': {
        schema: { $ref: 'Problem#' },
        examples: Object.fromEntries(codes.map((code) => [code, { value: problemBody(code) }]))
      }
    }
  }]))
}

export default fp(swaggerPlugin, { name: 'swagger', dependencies: ['config', 'problem'] })
