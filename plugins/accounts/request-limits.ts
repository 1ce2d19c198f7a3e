import { createHmac } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import type { FastifyRateLimitStore } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyPluginAsync, preHandlerAsyncHookHandler } from 'fastify'

const PRUNE_INTERVAL_MILLISECONDS = 60_000

type Count = Extract<Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>, { isAllowed: false }>

/**
 * Limits the requests of one client address (IPv6: of one /64) to the routes with `config.limitByAddress`: 429 beyond
 * RATE_LIMIT_ADDRESS. How often a password may be wrong is for `sign-in-limits`.
 */
const requestLimits: FastifyPluginAsync = async (fastify) => {
  const { clientAddresses: { networksOf }, config: { rateLimit: limits }, db, forgetBefore, jobs, masterKey, steadyNow: now } = fastify
  const { problem, routeDocumentation: { describe } } = fastify
  if (!limits) return

  const secret = masterKey.derive('limits')

  /** The package's own store is in memory: it would forget with a restart, and each process would count for itself. */
  class Store implements FastifyRateLimitStore {
    incr (...[address, callback, windowMilliseconds, max]: Parameters<FastifyRateLimitStore['incr']>) {
      const key = createHmac('sha256', secret).update(address).digest('base64url')
      db.requestCounts.add(key, { max, windowMilliseconds }, now())
        .then(({ count, until }) => callback(null, { current: count, ttl: until - now() }), callback)
    }

    child () {
      return this
    }
  }

  await fastify.register(rateLimit, { global: false, store: Store })
  const countRequest = fastify.createRateLimit({
    max: limits.address.max,
    timeWindow: limits.address.windowMilliseconds,
    keyGenerator: ({ ip }) => networksOf(ip)[0]
  })

  const limitByAddress: preHandlerAsyncHookHandler = async (request, reply) => {
    const count = await countRequest(request) as Count // nobody is on an allow list
    const headers = {
      'ratelimit-limit': String(count.max),
      'ratelimit-remaining': String(count.remaining),
      'ratelimit-reset': String(count.ttlInSeconds)
    }
    if (count.isExceeded) throw problem('rate_limited', { headers: { ...headers, 'retry-after': String(count.ttlInSeconds) } })
    reply.headers(headers)
  }

  fastify.addHook('onRoute', (route) => {
    if (!route.config?.limitByAddress) return
    route.preHandler = [limitByAddress, ...[route.preHandler ?? []].flat()]
    describe(route, { refusals: ['rate_limited'] })
  })
  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-request-counts', () => db.requestCounts.prune(forgetBefore(0)))
}

export default fp(requestLimits, {
  name: 'request-limits',
  dependencies: ['client-addresses', 'clock', 'config', 'database', 'forgetting', 'jobs', 'master-key', 'problems', 'route-documentation']
})
