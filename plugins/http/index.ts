import fp from 'fastify-plugin'
import bodyShares from './body-shares.ts'
import closing from './closing.ts'
import conditionalRequests from './conditional-requests.ts'
import connections from './connections.ts'
import contentTypes from './content-types.ts'
import cors from './cors.ts'
import crossSiteForms from './cross-site-forms.ts'
import methodNotAllowed from './method-not-allowed.ts'
import overload from './overload.ts'
import requestHeaders from './request-headers.ts'
import requestId from './request-id.ts'
import securityHeaders from './security-headers.ts'
import untrustedGateway from './untrusted-gateway.ts'
import type { FastifyPluginAsync } from 'fastify'

/** The steps that every request passes, in this order, until one of them answers. The first two mark every answer. */
const STEPS = [
  requestId,
  securityHeaders,
  requestHeaders,
  untrustedGateway,
  cors,
  connections,
  bodyShares,
  overload,
  closing,
  methodNotAllowed,
  crossSiteForms,
  contentTypes,
  conditionalRequests
]

declare module 'fastify' {
  interface FastifyInstance {
    /** Functions that change the address of a request before it is routed. A feature adds its own. */
    addressRewrites: Array<(url: string) => string>
  }
}

const http: FastifyPluginAsync = async (fastify) => {
  fastify.decorate('addressRewrites', [])
  for (const step of STEPS) await fastify.register(step)
}

export default fp(http, {
  name: 'http',
  dependencies: ['client-addresses', 'config', 'errors', 'fair-shares', 'problems', 'service-state']
})
