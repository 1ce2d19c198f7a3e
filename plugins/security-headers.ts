import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** The headers for browsers and caches: nothing of an answer may be kept, run or framed, and no other origin may read it unless CORS_ORIGIN names it. */
const securityHeaders: FastifyPluginAsync = async (fastify) => {
  const { corsOrigins } = fastify.config

  await fastify.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    xFrameOptions: { action: 'deny' }
  })

  // What is answered here is for one caller; a route that means otherwise says so.
  fastify.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
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
