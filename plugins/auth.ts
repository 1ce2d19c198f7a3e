import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest, HookHandlerDoneFunction, onRequestHookHandler } from 'fastify'
import type { AccessTokenClaims } from './access-tokens.ts'

const AUTHORIZATION = 'authorization'

declare module 'fastify' {
  interface FastifyInstance {
    /** The token that a request presents, as Bearer or in ACCESS_TOKEN_HEADER; undefined when it presents none. */
    presentedToken: (request: FastifyRequest) => string | undefined
    /** A route hook that lets in who has a good access token: `onRequest: fastify.authenticate`. Sets `request.user`. */
    authenticate: onRequestHookHandler
    /** A route hook that lets in who has a good access token with this role: `onRequest: fastify.requireRole('admin')`. */
    requireRole: (role: string) => onRequestHookHandler
  }
  interface FastifyContextConfig {
    /** Set by the hooks of this plugin: that the route takes an access token, and the role it asks for. */
    access?: { role?: string }
  }
}

const auth: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, config: { accessTokenHeader = '' }, problem } = fastify
  const roles = new WeakMap<onRequestHookHandler, string>()

  function presentedToken ({ headers, raw }: FastifyRequest): string | undefined {
    const { authorization } = headers
    const bare = headers[accessTokenHeader]
    if (authorization === undefined) return bare as string | undefined // Node joins what is sent twice, save set-cookie
    if (authorization.slice(0, 6).toLowerCase() !== 'bearer') return undefined
    if (authorization[6] !== ' ' || bare !== undefined || isRepeated(raw.rawHeaders)) throw problem('invalid_token')
    return authorization.slice(7)
  }

  function verified (request: FastifyRequest) {
    const token = presentedToken(request)
    if (token === undefined) throw problem('missing_token')
    return accessTokens.verify(token)
  }

  /** A hook that lets in whose token is good and `mayEnter`. It waits for nothing where the token is remembered: a promise for each request would be felt. */
  function guard (mayEnter: (user: AccessTokenClaims) => boolean): onRequestHookHandler {
    function enter (request: FastifyRequest, user: AccessTokenClaims, done: HookHandlerDoneFunction) {
      request.user = user
      done(mayEnter(user) ? undefined : problem('forbidden'))
    }

    return (request, _reply, done) => {
      let user
      try {
        user = verified(request)
      } catch (error) {
        return done(error as Error) // `verified` throws nothing else
      }
      if (user instanceof Promise) user.then((user) => enter(request, user, done), done)
      else enter(request, user, done)
    }
  }

  const authenticate = guard(() => true)

  function requireRole (role: string) {
    const hook = guard(({ roles }) => roles.includes(role))
    roles.set(hook, role)
    return hook
  }

  fastify.decorate('presentedToken', presentedToken)
  fastify.decorate('authenticate', authenticate)
  fastify.decorate('requireRole', requireRole)

  fastify.addHook('onRoute', (route) => {
    const hooks = [route.onRequest].flat()
    const guard = hooks.find((hook) => hook === authenticate || (hook && roles.has(hook as onRequestHookHandler)))
    if (guard) route.config = { ...route.config, access: { role: roles.get(guard as onRequestHookHandler) } }
  })
}

/** Node keeps the first of two Authorization headers and drops the other, so only the raw ones tell. */
function isRepeated (rawHeaders: string[]): boolean {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) count++
  }
  return count > 1
}

export default fp(auth, { name: 'auth', dependencies: ['access-tokens', 'config', 'problem'] })
