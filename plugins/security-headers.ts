import cors from '@fastify/cors'
import fp from 'fastify-plugin'
import helmet from 'helmet'
import type { IncomingMessage, ServerResponse } from 'node:http'
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

/** The headers for browsers and caches: nothing of an answer may be kept, run or framed, and no other origin may read it unless CORS_ORIGIN names it. */
const securityHeaders: FastifyPluginAsync = async (fastify) => {
  const { config: { corsOrigins } } = fastify
  const headers = {
    ...helmetHeaders(),
    'cache-control': 'no-store' // what is answered here is for one caller; a route that means otherwise says so
  }

  fastify.decorate('securityHeaders', headers)
  fastify.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.isForGateways) reply.header('cache-control', 'no-store')
    else reply.headers(headers)
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

/** What helmet sets. It is the same for every answer, so helmet is asked once: asked each time it takes half as long as a small request. */
function helmetHeaders (): Record<string, string> {
  const headers: Record<string, string> = {}
  const setHeaders = helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] } },
    xFrameOptions: { action: 'deny' }
  })
  const response = { removeHeader () {}, setHeader (name: string, value: string) { headers[name.toLowerCase()] = value } }
  setHeaders({} as IncomingMessage, response as object as ServerResponse, () => {}) // it does no more with them than this
  return headers
}

export default fp(securityHeaders, { name: 'security-headers', dependencies: ['config'] })
