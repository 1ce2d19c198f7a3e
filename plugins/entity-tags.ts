import { hash } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** Sets the ETag of a text that is about to be answered, and tells whether the caller has it already: then 304 is the answer. */
    isKnownToCaller: (text: string, reply: FastifyReply) => boolean
  }
}

/** Conditional requests (RFC 9110, section 13.1.2) for what gateways and verifiers ask for again and again. */
const entityTags: FastifyPluginAsync = async (fastify) => {
  fastify.decorate('isKnownToCaller', (text: string, reply: FastifyReply) => {
    const tag = `"${hash('sha256', text, 'base64url')}"`
    reply.header('etag', tag)
    const known = reply.request.headers['if-none-match'] ?? ''
    return known === '*' || known.split(',').some((other) => other.trim().replace(/^W\//, '') === tag) // a proxy that compresses makes tags weak
  })
}

export default fp(entityTags, { name: 'entity-tags' })
