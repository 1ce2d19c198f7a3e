import { createHmac } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import type { FastifyRateLimitStore } from '@fastify/rate-limit'
import type { FastifyPluginAsync, preHandlerAsyncHookHandler } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { limits: Limits }
  interface FastifyContextConfig {
    /** Set by `limits`: the route answers 429. */
    isLimited?: boolean
  }
}

/** Bounds how much work one address can cause; how often it may be wrong is for `guesses`. */
export interface Limits {
  /**
   * A route hook for whatever takes a password, makes an account or tells whether a name is taken: counts requests by client address, IPv6 by /64.
   * @throws `rate_limited`
   */
  address: preHandlerAsyncHookHandler
}

const limits: FastifyPluginAsync = async (fastify) => {
  const { config: { rateLimit: settings }, db, masterKey, now, problem } = fastify
  const secret = masterKey.derive('limits')

  /** The package's own store is in memory: it would forget with a restart, and each process would count for itself. */
  class Store implements FastifyRateLimitStore {
    incr (...[address, callback, windowMilliseconds, max]: Parameters<FastifyRateLimitStore['incr']>) {
      const key = createHmac('sha256', secret).update(address).digest('base64url')
      db.requestCounts.add(key, { max, windowMilliseconds }, now()).then(({ count, until }) => callback(null, { current: count, ttl: until - now() }), callback)
    }

    child () {
      return this
    }
  }

  await fastify.register(rateLimit, { global: false, store: Store, allowList: () => settings === false })
  const perAddress = fastify.createRateLimit({ ...settings && { max: settings.address.max, timeWindow: settings.address.windowMilliseconds } })

  const address: preHandlerAsyncHookHandler = async (request, reply) => {
    const count = await perAddress(request)
    if (count.isAllowed) return
    const headers = { 'ratelimit-limit': String(count.max), 'ratelimit-remaining': String(count.remaining), 'ratelimit-reset': String(count.ttlInSeconds) }
    if (count.isExceeded) throw problem('rate_limited', { headers: { ...headers, 'retry-after': String(count.ttlInSeconds) } })
    reply.headers(headers)
  }

  fastify.decorate('limits', { address })

  fastify.addHook('onRoute', (route) => {
    if ([route.preHandler].flat().includes(address)) route.config = { ...route.config, isLimited: true }
  })
}

export default fp(limits, { name: 'limits', dependencies: ['clock', 'config', 'db', 'master-key', 'problem'] })
