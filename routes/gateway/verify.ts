import { METHODS } from 'node:http'
import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyError, RouteOptions, onRequestHookHandler } from 'fastify'
import type { Static } from 'typebox'

/** The log shows no more of an unknown parameter: it may be a client's, and may hold a secret. */
const LONGEST_NAME = 20

/** Stands for "none": some gateways mishandle an empty header. No id and no role is a dash. */
const NONE = '-'
const NOBODY = toHeaders({ sub: NONE, sid: NONE, roles: [], jti: NONE })

const REFUSALS = new Set([
  'missing_token', 'invalid_token', 'token_expired', 'token_revoked', 'wrong_token_type',
  'forbidden', 'not_verified', 'bad_request', 'overloaded', 'shutting_down'
])

const RequiredRoles = Type.Union([Type.String({ examples: ['admin'] }), Type.Array(Type.String())], {
  description: 'A role that the token must have; repeat it to demand several'
})

/** Every parameter of /verify, and `answer` decides by it. Any other is refused: a misspelt demand must let nobody in. */
const VerifyQuery = Type.Object({ role: Type.Optional(RequiredRoles) }, { additionalProperties: false })
const PARAMETERS = new Set(Object.keys(VerifyQuery.properties))

const Verified = Type.Null({
  description: 'The request may pass. Send its service the headers `X-Auth-…` of this answer.',
  headers: {
    'X-Auth-Subject': { type: 'string', description: 'The id of the account' },
    'X-Auth-Session': { type: 'string', description: 'The id of the session' },
    'X-Auth-Roles': { type: 'string', description: 'The roles, separated by commas; `-` for none' },
    'X-Auth-Token-Id': { type: 'string', description: 'The id of the access token' }
  }
})

export const prefixOverride = ''

/**
 * Answers for the request that a gateway describes, whatever its method and body. Hooks answer before a body is read, with
 * 200, 401, 403 or 503 and nothing else. The gateway plugin cuts off a path below /verify/ before routing, never the query.
 */
const verify: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, isAllowedPreflight, problem, securityHeaders } = fastify
  const headersByUser = new WeakMap<object, Record<string, string>>()

  const refuseUnknownParameters: onRequestHookHandler = ({ query, log }, _reply, done) => {
    const unknown = Object.keys(query as object).find((name) => !PARAMETERS.has(name))
    if (unknown === undefined) return done()
    log.warn({ parameter: unknown.slice(0, LONGEST_NAME) }, '/verify does not know this parameter: correct the gateway\'s configuration')
    done(problem('not_verified'))
  }

  const allowPreflight: onRequestHookHandler = (request, reply, done) => {
    if (isAllowedPreflight(request)) reply.headers(NOBODY).send()
    else done()
  }

  const answer: onRequestHookHandler = ({ user, query }, reply, done) => {
    // As it was parsed: the schema is for the document, and would be checked too late.
    const { role } = query as Static<typeof VerifyQuery>
    if (role !== undefined && ![role].flat().every((role) => role !== '' && user.roles.includes(role))) return done(problem('forbidden'))

    let headers = headersByUser.get(user)
    if (!headers) headersByUser.set(user, headers = toHeaders(user))
    reply.headers(headers).send()
  }

  const route = {
    url: '/verify',
    config: { browserHeaders: false as const, cors: false as const }, // an OPTIONS is verified, too
    onRequest: [refuseUnknownParameters, allowPreflight, authenticate, answer],
    handler: answer as never, // never reached: the hook of that name has answered
    errorHandler (error, request, reply) {
      const isRefusal = REFUSALS.has((error as FastifyError).code)
      const refusal = isRefusal ? error : problem('not_verified', { cause: error })
      return fastify.errorHandler(refusal as FastifyError, request, reply.headers(securityHeaders)) // gateways pass refusals on
    }
  } satisfies Omit<RouteOptions, 'method'>

  fastify.route({
    ...route,
    method: 'GET',
    exposeHeadRoute: false,
    schema: {
      operationId: 'verifyRequest',
      summary: 'Verify a token for a gateway (forward authentication)',
      tags: ['gateway'],
      querystring: VerifyQuery,
      response: { 200: Verified }
    },
    config: { ...route.config, refusals: ['forbidden', 'not_verified'] }
  })

  const others = METHODS.filter((method) => method !== 'GET' && method !== 'CONNECT') // CONNECT never becomes a request
  for (const method of others) if (!fastify.supportedMethods.includes(method)) fastify.addHttpMethod(method)
  fastify.route({ ...route, method: others, schema: { hide: true } })
}

function toHeaders ({ sub, sid, roles, jti }: { sub: string, sid: string, roles: string[], jti: string }) {
  return {
    'x-auth-subject': safe(sub),
    'x-auth-session': safe(sid),
    'x-auth-roles': roles.map(safe).join(',') || NONE,
    'x-auth-token-id': safe(jti)
  }
}

/** Our own ids and roles stay as they are. Whoever shares a secret with us may sign others. */
function safe (text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

export default verify
