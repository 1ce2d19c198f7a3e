import fp from 'fastify-plugin'
import closing from './closing.ts'
import conditionalRequests from './conditional-requests.ts'
import connections from './connections.ts'
import contentTypes from './content-types.ts'
import cors from './cors.ts'
import methodNotAllowed from './method-not-allowed.ts'
import overload from './overload.ts'
import requestId from './request-id.ts'
import securityHeaders from './security-headers.ts'
import type { FastifyPluginAsync } from 'fastify'

/** The steps that every request passes, in this order, until one of them answers. The first two mark every answer. */
const STEPS = [
  requestId,
  securityHeaders,
  cors,
  connections,
  overload,
  closing,
  methodNotAllowed,
  contentTypes,
  conditionalRequests
]

const http: FastifyPluginAsync = async (fastify) => {
  for (const step of STEPS) await fastify.register(step)
}

export default fp(http, { name: 'http', dependencies: ['config', 'errors', 'problems'] })
