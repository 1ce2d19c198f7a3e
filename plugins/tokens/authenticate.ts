import fp from 'fastify-plugin'
import type {
  FastifyPluginAsync, FastifyRequest, HookHandlerDoneFunction, RouteOptions, onRequestHookHandler, preHandlerHookHandler
} from 'fastify'
import type { ProblemCode } from '../core/problems.ts'
import type { AccessTokenClaims } from './claims.ts'

const AUTHORIZATION = 'authorization'
const BODILESS = ['GET', 'HEAD']
const TOKEN_REFUSALS: ProblemCode[] = ['missing_token', 'invalid_token', 'token_expired', 'token_revoked', 'wrong_token_type']

declare module 'fastify' {
  interface FastifyInstance {
    /** The token of a request, from `Authorization: Bearer` or ACCESS_TOKEN_HEADER. Undefined when there is none. */
    bearerToken: (request: FastifyRequest) => string | undefined
    /** A route hook that demands a good access token: `onRequest: fastify.authenticate`. Sets `request.user`. */
    authenticate: onRequestHookHandler
    /** A route hook that demands a good access token with this role: `onRequest: fastify.requireRole('admin')`. */
    requireRole: (role: string) => onRequestHookHandler
  }
  interface FastifyContextConfig {
    /** The tokens that the route's handler itself takes, where no hook does. */
    tokens?: Array<'access' | 'refresh'>
  }
}

const authenticatePlugin: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, config: { accessTokenHeader = '' }, problem, routeDocumentation: { describe, securitySchemes } } = fastify
  /** The hooks made here, and the role that each demands. */
  const guards = new WeakMap<onRequestHookHandler, string | undefined>()

  function bearerToken ({ headers, raw }: FastifyRequest): string | undefined {
    const { authorization } = headers
    const bare = headers[accessTokenHeader]
    if (authorization === undefined) return bare as string | undefined // Node joins what is sent twice, save set-cookie
    if (authorization.slice(0, 6).toLowerCase() !== 'bearer') return undefined
    if (authorization[6] !== ' ' || bare !== undefined || isRepeated(raw.rawHeaders)) throw problem('invalid_token')
    return authorization.slice(7)
  }

  function verifyToken (request: FastifyRequest) {
    const token = bearerToken(request)
    if (token === undefined) throw problem('missing_token')
    return accessTokens.verify(token)
  }

  /** Builds the hook: verify, then check the role. Stays synchronous for remembered tokens. */
  function guard (isAllowed: (user: AccessTokenClaims) => boolean): onRequestHookHandler {
    function enter (request: FastifyRequest, user: AccessTokenClaims, done: HookHandlerDoneFunction) {
      request.user = user
      done(isAllowed(user) ? undefined : problem('forbidden'))
    }

    return (request, _reply, done) => {
      let user
      try {
        user = verifyToken(request)
      } catch (error) {
        return done(error as Error) // `verifyToken` throws nothing else
      }
      if (user instanceof Promise) user.then((user) => enter(request, user, done), done)
      else enter(request, user, done)
    }
  }

  /** A body may come long after the headers: what was true then is looked at again. For a remembered token that takes microseconds. */
  function guardBody (route: RouteOptions, hooks: onRequestHookHandler[]) {
    const methods = [route.method].flat()
    if (hooks.length === 0 || methods.every((method) => BODILESS.includes(method))) return
    route.preHandler = [...hooks, ...[route.preHandler ?? []].flat()] as preHandlerHookHandler[] // the same arguments
  }

  const authenticate = guard(() => true)
  guards.set(authenticate, undefined)

  function requireRole (role: string) {
    const hook = guard(({ roles }) => roles.includes(role))
    guards.set(hook, role)
    return hook
  }

  fastify.addHook('onRoute', (route) => {
    const hooks = [route.onRequest].flat() as onRequestHookHandler[]
    guardBody(route, hooks.filter((hook) => guards.has(hook)))
    const security = [{ accessToken: [] }]
    if (hooks.some((hook) => guards.get(hook) !== undefined)) describe(route, { security, refusals: [...TOKEN_REFUSALS, 'forbidden'] })
    else if (hooks.includes(authenticate)) describe(route, { security, refusals: TOKEN_REFUSALS })
    const { tokens } = route.config ?? {}
    if (tokens) describe(route, { security: tokens.map((kind) => ({ [`${kind}Token`]: [] })), refusals: TOKEN_REFUSALS })
  })
  const bearer = { type: 'http', scheme: 'bearer' } as const
  securitySchemes.accessToken = { ...bearer, bearerFormat: 'JWT', description: 'The `access_token` of an answer' }
  securitySchemes.refreshToken = { ...bearer, bearerFormat: 'prt_…', description: 'The `refresh_token` of an answer' }

  fastify.decorate('bearerToken', bearerToken)
  fastify.decorate('authenticate', authenticate)
  fastify.decorate('requireRole', requireRole)
}

/** Node keeps the first of two Authorization headers and drops the other, so only the raw ones tell. */
function isRepeated (rawHeaders: string[]): boolean {
  return rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === AUTHORIZATION).length > 1
}

export default fp(authenticatePlugin, {
  name: 'authenticate',
  dependencies: ['access-tokens', 'config', 'problems', 'route-documentation']
})
