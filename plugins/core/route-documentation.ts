import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifySchema, RouteOptions } from 'fastify'
import type { ProblemCode } from './problems.ts'

declare module 'fastify' {
  interface FastifyInstance { routeDocumentation: RouteDocumentation }
  interface FastifyContextConfig {
    /** Of a route without a lock: why anybody may ask. */
    open?: string
    /** True where requests are counted by client address: they cost a hash, or tell which names are taken. */
    limitByAddress?: boolean
  }
}

interface SecurityScheme { type: 'http', scheme: 'bearer' | 'basic', bearerFormat?: string, description: string }

export interface RouteDocumentation {
  /**
   * For an `onRoute` hook: adds to a route's document what a route hook demands and refuses, so that the renderer of
   * documents knows no hook by name.
   */
  describe: (route: RouteOptions, description: { security?: FastifySchema['security'], refusals: ProblemCode[] }) => void
  /** OpenAPI's security schemes, by name. */
  securitySchemes: Record<string, SecurityScheme>
  /** OpenAPI's tags, in the order in which they are shown. */
  tags: Array<{ name: string, description: string }>
}

const routeDocumentation: FastifyPluginAsync = async (fastify) => {
  function describe (route: RouteOptions, { security, refusals }: Parameters<RouteDocumentation['describe']>[1]) {
    route.config = { ...route.config, refusals: [...route.config?.refusals ?? [], ...refusals] }
    if (security) route.schema = { ...route.schema, security }
  }

  fastify.decorate('routeDocumentation', {
    describe,
    securitySchemes: {},
    tags: [
      { name: 'auth', description: 'Register, sign in, refresh, sign out' },
      { name: 'account', description: 'Your own account and sessions' },
      { name: 'users', description: 'Accounts, for administrators' },
      { name: 'audit', description: 'What happened, and why a token is refused, for administrators' },
      { name: 'secret', description: 'An example of a protected route' },
      { name: 'gateway', description: 'For gateways, and for services that verify tokens themselves' },
      { name: 'service', description: 'Keys, metadata and health' }
    ]
  })
}

export default fp(routeDocumentation, { name: 'route-documentation' })
