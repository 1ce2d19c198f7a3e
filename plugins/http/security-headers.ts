import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** The headers of every answer that may reach a browser. */
    securityHeaders: Record<string, string>
  }
  interface FastifyContextConfig {
    /** False on a route that no browser asks: its answers need no headers for one. */
    browserHeaders?: false
  }
}

/**
 * The headers that helmet sets, with a policy for an API (a test compares them with helmet's), and `no-store`. A route
 * that means otherwise sets its own. `strict-transport-security` is a setting, HSTS.
 */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0'
}

/** Headers for browsers and caches: nothing of an answer may be kept, run or framed. */
const securityHeaders: FastifyPluginAsync = async (fastify) => {
  const { config: { hsts } } = fastify
  const headers = { ...HEADERS, ...hsts !== undefined && { 'strict-transport-security': hsts } }

  fastify.addHook('onRequest', ({ routeOptions: { config } }, reply, done) => {
    if (config.browserHeaders === false) reply.header('cache-control', 'no-store')
    else reply.headers(headers)
    done()
  })
  fastify.decorate('securityHeaders', headers)
}

export default fp(securityHeaders, { name: 'security-headers', dependencies: ['config'] })
