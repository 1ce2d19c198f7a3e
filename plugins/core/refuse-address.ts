import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

/** Answers an address that the router cannot read. No hook runs for it, so this adds the headers that hooks add. */
export function refuseAddress (error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const { errorHandler, securityHeaders } = request.server
  errorHandler(error, request, reply.headers({ ...securityHeaders, 'x-request-id': request.id }))
}
