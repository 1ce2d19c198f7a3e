import { METHODS } from 'node:http'
import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyError, RouteOptions, onRequestHookHandler } from 'fastify'
import type { Static } from 'typebox'

/** Stands for "none": some gateways mishandle an empty header, and no id and no role is a dash. */
const NONE = '-'
const NOBODY = identity({ sub: NONE, sid: NONE, roles: [], jti: NONE })

const REFUSALS = new Set(['missing_token', 'invalid_token', 'token_expired', 'token_revoked', 'wrong_token_type', 'forbidden', 'overloaded', 'shutting_down'])

const VerifyQuery = Type.Object({
  role: Type.Optional(Type.Union([Type.String({ examples: ['admin'] }), Type.Array(Type.String())], { description: 'A role that the token must have; of several, all' }))
})

const Verified = Type.Null({ description: 'Let the request through, with the headers `X-Auth-Subject`, `X-Auth-Session`, `X-Auth-Roles` (`-` for none) and `X-Auth-Token-Id` of this answer' })

/**
 * Answers for the request that a gateway describes, whatever its method and body: hooks answer before a body is read, with
 * 200, 401, 403 or 503 and nothing else. What follows /verify/ in the address is cut off before routing (`options` in app.ts).
 */
const verify: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticate, config, isPreflight, problem, securityHeaders } = fastify
  const identities = new WeakMap<object, Record<string, string>>()

  const letPreflightThrough: onRequestHookHandler = (request, reply, done) => {
    if (config.verifyLetsPreflightsThrough && isPreflight(request)) reply.headers(NOBODY).send()
    else done()
  }

  const answer: onRequestHookHandler = ({ user, query }, reply, done) => {
    const { role } = query as Static<typeof VerifyQuery> // as parsed; the schema is for the document, it would be checked too late
    if (role !== undefined && ![role].flat().every((role) => user.roles.includes(role))) return done(problem('forbidden'))

    let headers = identities.get(user)
    if (!headers) identities.set(user, headers = identity(user))
    reply.headers(headers).send()
  }

  const route = {
    url: '/verify',
    config: { isForGateways: true, cors: false as const }, // an OPTIONS is verified, too
    onRequest: [letPreflightThrough, authenticate, answer],
    handler: answer as never, // is never reached: the hook of that name has answered
    errorHandler (error, request, reply) {
      const isRefusal = REFUSALS.has((error as FastifyError).code)
      return fastify.errorHandler((isRefusal ? error : problem('not_verified', { cause: error })) as FastifyError, request, reply.headers(securityHeaders)) // gateways pass refusals on
    }
  } satisfies Omit<RouteOptions, 'method'>

  fastify.route({
    ...route,
    method: 'GET',
    exposeHeadRoute: false,
    schema: { summary: 'For gateways: whether the request that carries this token may pass', tags: ['service'], querystring: VerifyQuery, response: { 200: Verified } },
    config: { ...route.config, refusals: ['forbidden', 'not_verified'] }
  })

  const others = METHODS.filter((method) => method !== 'GET' && method !== 'CONNECT') // CONNECT never becomes a request
  for (const method of others) if (!fastify.supportedMethods.includes(method)) fastify.addHttpMethod(method)
  fastify.route({ ...route, method: others, schema: { hide: true } })
}

function identity ({ sub, sid, roles, jti }: { sub: string, sid: string, roles: string[], jti: string }) {
  return { 'x-auth-subject': safe(sub), 'x-auth-session': safe(sid), 'x-auth-roles': roles.map(safe).join(',') || NONE, 'x-auth-token-id': safe(jti) }
}

/** Our own ids and roles are as they were. Whoever shares a secret with us may sign others. */
function safe (text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

export default verify
