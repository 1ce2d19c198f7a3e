import { randomUUID } from 'node:crypto'
import fp from 'fastify-plugin'
import type { IncomingMessage } from 'node:http'
import type { FastifyPluginAsync } from 'fastify'

const FIT_FOR_A_LOG = /^[\w.-]{1,64}$/

/** Answers with the id under which a request is logged: that of a gateway in TRUST_PROXY, or one of ours. */
const requestId: FastifyPluginAsync = async (fastify) => {
  const { clientAddresses: { isGateway } } = fastify

  fastify.setGenReqId(({ headers: { 'x-request-id': given }, socket }: IncomingMessage) =>
    typeof given === 'string' && FIT_FOR_A_LOG.test(given) && isGateway(socket.remoteAddress) ? given : randomUUID())

  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
}

export default fp(requestId, { name: 'request-id', dependencies: ['client-addresses'] })
