import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/**
 * While the server closes, what is under way is finished and what comes on an open connection is refused. Every answer
 * asks its client to let go of the connection: an idle one would hold the process for its whole keep-alive time.
 */
const gracefulClose: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  let isClosing = false

  fastify.addHook('preClose', async () => { isClosing = true })
  fastify.addHook('onRequest', (_request, _reply, done) => done(isClosing ? problem('shutting_down') : undefined))
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    if (isClosing) reply.header('connection', 'close')
    done(null, payload)
  })
}

export default fp(gracefulClose, { name: 'graceful-close', dependencies: ['problem', 'request-id', 'security-headers'] })
