import rateLimit from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify'

/** More than one /64 network can fill within a window. */
const MOST_KEYS = 100_000

declare module 'fastify' {
  interface FastifyInstance { limits: Limits }
  interface FastifyRequest {
    /** The account whose password is tried: what `limits` counts by. */
    triedAccount: string
  }
  interface FastifyContextConfig {
    /** Set by `limits`: the route answers 429. */
    isLimited?: boolean
  }
}

/** Bounds how often passwords can be tried. */
export interface Limits {
  /**
   * A route hook for whatever takes a password, makes an account or tells whether a name is taken: counts requests by client address, IPv6 by /64.
   * @throws `rate_limited`
   */
  address: preHandlerAsyncHookHandler
  /**
   * Refuses when too many passwords were wrong for this account, whatever addresses they came from.
   * @throws `rate_limited`
   */
  account: (account: string, request: FastifyRequest) => Promise<void>
  /** Counts a wrong password for the account that was last asked about. */
  failed: (request: FastifyRequest) => Promise<void>
}

const limits: FastifyPluginAsync = async (fastify) => {
  const { config: { rateLimit: settings }, problem } = fastify

  await fastify.register(rateLimit, { global: false, cache: MOST_KEYS, allowList: () => settings === false })
  fastify.decorateRequest('triedAccount', '')

  const perAddress = fastify.createRateLimit({ ...settings && optionsOf(settings.address) })
  const perAccount = fastify.createRateLimit({ ...settings && optionsOf(settings.account), keyGenerator: (request) => request.triedAccount })

  const address: preHandlerAsyncHookHandler = async (request, reply) => {
    const count = await perAddress(request)
    if (count.isAllowed) return
    const headers = headersOf(count)
    if (count.isExceeded) throw problem('rate_limited', { headers: { ...headers, 'retry-after': String(count.ttlInSeconds) } })
    reply.headers(headers)
  }

  fastify.decorate('limits', {
    address,

    async account (account, request) {
      request.triedAccount = account
      const count = await perAccount(request, { increment: false })
      if (count.isAllowed || count.remaining > 0) return
      throw problem('rate_limited', { headers: { ...headersOf(count), 'retry-after': String(count.ttlInSeconds) } })
    },

    async failed (request) {
      await perAccount(request)
    }
  })

  fastify.addHook('onRoute', (route) => {
    if ([route.preHandler].flat().includes(address)) route.config = { ...route.config, isLimited: true }
  })
}

function optionsOf ({ max, windowMilliseconds }: { max: number, windowMilliseconds: number }) {
  return { max, timeWindow: windowMilliseconds }
}

function headersOf ({ max, remaining, ttlInSeconds }: { max: number, remaining: number, ttlInSeconds: number }) {
  return { 'ratelimit-limit': String(max), 'ratelimit-remaining': String(remaining), 'ratelimit-reset': String(ttlInSeconds) }
}

export default fp(limits, { name: 'limits', dependencies: ['config', 'problem'] })
