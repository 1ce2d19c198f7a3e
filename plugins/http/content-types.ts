import formbody from '@fastify/formbody'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** Accepts JSON and `application/x-www-form-urlencoded`, and nothing else. */
const contentTypes: FastifyPluginAsync = async (fastify) => {
  const parseJson = fastify.getDefaultJsonParser('error', 'error')

  fastify.removeAllContentTypeParsers()
  await fastify.register(formbody)
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined) // many clients name the type of a body that they do not send
    else parseJson(request, String(body), done)
  })
}

export default fp(contentTypes, { name: 'content-types' })
