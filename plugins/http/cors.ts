import cors from '@fastify/cors'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** False on a route that answers OPTIONS itself (@fastify/cors reads it). */
    cors?: false
  }
}

/** Lets the pages of CORS_ORIGIN read answers. Nothing is registered unless it is set. */
const corsStep: FastifyPluginAsync = async (fastify) => {
  const { config: { corsOrigins } } = fastify
  if (corsOrigins.length === 0) return

  await fastify.register(cors, {
    origin: corsOrigins,
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    exposedHeaders: ['retry-after', 'www-authenticate', 'x-request-id', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
    maxAge: 600,
    strictPreflight: false // its refusal is no problem (RFC 9457)
  })
}

export default fp(corsStep, { name: 'cors' })
