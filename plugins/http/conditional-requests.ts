import { hash } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** Sets the ETag of a text, and tells whether the caller has that text already. Then answer 304. */
    notModified: (text: string, reply: FastifyReply) => boolean
  }
}

/** Conditional requests (RFC 9110, section 13.1.2) for what gateways and verifiers ask for again and again. */
const conditionalRequests: FastifyPluginAsync = async (fastify) => {
  function notModified (text: string, reply: FastifyReply): boolean {
    const tag = `"${hash('sha256', text, 'base64url')}"`
    reply.header('etag', tag)
    const known = reply.request.headers['if-none-match'] ?? ''
    const tags = known.split(',').map((other) => other.trim().replace(/^W\//, '')) // a proxy that compresses makes tags weak
    return known === '*' || tags.includes(tag)
  }

  fastify.decorate('notModified', notModified)
}

export default fp(conditionalRequests, { name: 'conditional-requests' })
