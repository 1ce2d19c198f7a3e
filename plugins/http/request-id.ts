import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** Answers with the id under which a request is logged: the gateway's, or one of ours (`toRequestId` in app.ts). */
const requestId: FastifyPluginAsync = async (fastify) => {
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
}

export default fp(requestId, { name: 'request-id' })
