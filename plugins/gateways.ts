import { BlockList, isIPv6 } from 'node:net'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether a request describes, by one of the gateways in TRUST_PROXY, the CORS preflight of a browser, which carries no token. */
    isPreflight: (request: FastifyRequest) => boolean
  }
}

/** What gateways say of the request that they ask about. It is believed only of those whose addresses are configured. */
const gateways: FastifyPluginAsync = async (fastify) => {
  const trusted = new BlockList()
  for (const range of fastify.config.trustProxy) {
    const [address = '', prefix] = range.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) trusted.addAddress(address, family)
    else trusted.addSubnet(address, Number(prefix), family)
  }

  fastify.decorate('isPreflight', ({ headers, method, raw: { socket: { remoteAddress = '' } } }: FastifyRequest) => {
    if (headers.origin === undefined || headers['access-control-request-method'] === undefined) return false
    if (!trusted.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) return false
    return (headers['x-forwarded-method'] ?? method) === 'OPTIONS' // Envoy asks with the original method
  })
}

export default fp(gateways, { name: 'gateways', dependencies: ['config'] })
