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

/** The path below /verify/, where some gateways put the original one. The address may be in absolute form (RFC 9112, 3.2.2). */
const ORIGINAL_PATH = /^(?:\w+:\/\/[^/?#]*)?\/verify\/[^?#]*/

/** Reads the request that a gateway asks about. Only gateways in TRUST_PROXY are believed. */
const gateway: FastifyPluginAsync = async (fastify) => {
  const { addressRewrites, clientAddresses: { isGateway }, problems } = fastify
  const { VERIFY_PREFLIGHT: preflight } = fastify.settings(settings)

  function isAllowedPreflight ({ headers, method, raw: { socket } }: FastifyRequest): boolean {
    if (preflight === 'refuse') return false
    if (headers.origin === undefined || headers['access-control-request-method'] === undefined) return false
    if (!isGateway(socket.remoteAddress)) return false
    return (headers['x-forwarded-method'] ?? method) === 'OPTIONS' // Envoy asks with the original method
  }

  problems.add({ not_verified: [503, 'The token cannot be checked right now. Try again in a moment.'] })
  fastify.decorate('isAllowedPreflight', isAllowedPreflight)
  addressRewrites.push((url) => url.replace(ORIGINAL_PATH, '/verify'))
}

export default fp(gateway, { name: 'gateway', dependencies: ['client-addresses', 'http', 'problems'] })
