import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/**
 * While the server closes, requests under way are finished and new ones are refused. Every answer then closes its
 * connection: an idle one would hold the process for its whole keep-alive time.
 */
const closing: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  let isClosing = false

  fastify.addHook('preClose', async () => { isClosing = true })
  fastify.addHook('onRequest', (_request, _reply, done) => done(isClosing ? problem('shutting_down') : undefined))
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    if (isClosing) reply.header('connection', 'close')
    done(null, payload)
  })
}

export default fp(closing, { name: 'closing' })
