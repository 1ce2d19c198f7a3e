import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/**
 * Shares out the requests whose bodies have not come, among the clients behind a gateway: a client that holds bodies back
 * would fill the gateway's connections with them. Without a gateway the shares of connections bound that.
 */
const bodyShares: FastifyPluginAsync = async (fastify) => {
  const { clientAddresses: { isGateway }, config: { maxConnections }, fairShares, problem } = fastify
  const places = fairShares(maxConnections)

  fastify.addHook('onRequest', (request, { raw: response }, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    const hasBody = encoding !== undefined || (length !== undefined && length !== '0')
    if (!hasBody || !isGateway(request.raw.socket.remoteAddress)) return done()

    const leave = places.take(request.ip)
    if (!leave) return done(problem('overloaded'))
    response.once('close', leave)
    done()
  })
}

export default fp(bodyShares, { name: 'body-shares', dependencies: ['client-addresses', 'config', 'fair-shares', 'problems'] })
