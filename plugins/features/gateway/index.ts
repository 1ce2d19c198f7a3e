import { BlockList, isIPv6 } from 'node:net'
import fp from 'fastify-plugin'
import { settings } from './settings.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface ProblemCodes { not_verified: true }
  interface FastifyInstance {
    /**
     * True for the CORS preflight of a browser, which carries no token, when a gateway in TRUST_PROXY asks about it and
     * VERIFY_PREFLIGHT allows it.
     */
    isAllowedPreflight: (request: FastifyRequest) => boolean
  }
}

/** Reads the request that a gateway asks about. Only gateways in TRUST_PROXY are believed. */
const gateway: FastifyPluginAsync = async (fastify) => {
  const { config: { trustProxy }, problems } = fastify
  const { VERIFY_PREFLIGHT: preflight } = fastify.settings(settings)

  const trusted = new BlockList()
  for (const range of trustProxy) {
    const [address = '', prefix] = range.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) trusted.addAddress(address, family)
    else trusted.addSubnet(address, Number(prefix), family)
  }

  function isAllowedPreflight ({ headers, method, raw: { socket: { remoteAddress = '' } } }: FastifyRequest): boolean {
    if (preflight === 'refuse') return false
    if (headers.origin === undefined || headers['access-control-request-method'] === undefined) return false
    if (!trusted.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) return false
    return (headers['x-forwarded-method'] ?? method) === 'OPTIONS' // Envoy asks with the original method
  }

  problems.add({ not_verified: [503, 'The token cannot be checked right now. Try again in a moment.'] })
  fastify.decorate('isAllowedPreflight', isAllowedPreflight)
}

export default fp(gateway, { name: 'gateway', dependencies: ['config', 'problems'] })
