import formbody from '@fastify/formbody'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** Takes `application/x-www-form-urlencoded` wherever it takes JSON, and nothing else. */
const forms: FastifyPluginAsync = async (fastify) => {
  fastify.removeContentTypeParser('text/plain') // Fastify's own, for a string that no schema here allows
  await fastify.register(formbody)
}

export default fp(forms, { name: 'forms' })
