import cors from '@fastify/cors'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** What every answer has that may reach a browser. */
    securityHeaders: Record<string, string>
  }
  interface FastifyContextConfig {
    /** True on a route that no browser asks: what it lets through needs no headers for one. */
    isForGateways?: boolean
    /** False on a route that answers OPTIONS itself, and no browser (@fastify/cors reads it). */
    cors?: false
  }
}

/** The headers that helmet sets, with a policy for an API (a test compares them with helmet's), and `no-store`, unless a route says otherwise. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0'
}

/** The headers for browsers and caches: nothing of an answer may be kept, run or framed, and no other origin may read it unless CORS_ORIGIN names it. */
const securityHeaders: FastifyPluginAsync = async (fastify) => {
  const { config: { corsOrigins } } = fastify
  fastify.decorate('securityHeaders', HEADERS)
  fastify.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.isForGateways) reply.header('cache-control', 'no-store')
    else reply.headers(HEADERS)
    done()
  })

  if (corsOrigins.length > 0) {
    await fastify.register(cors, {
      origin: corsOrigins,
      methods: ['GET', 'POST', 'PATCH', 'DELETE'],
      exposedHeaders: ['retry-after', 'www-authenticate', 'x-request-id', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
      maxAge: 600,
      strictPreflight: false // its refusal is no problem (RFC 9457)
    })
  }
}

export default fp(securityHeaders, { name: 'security-headers', dependencies: ['config'] })
