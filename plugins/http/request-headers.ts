import { isUtf8 } from 'node:buffer'
import fp from 'fastify-plugin'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyPluginAsync } from 'fastify'

/**
 * Refuses what RFC 9110 and 9112 have a server refuse, and makes `User-Agent` printable: it is stored, and shown to people in
 * the list of sessions, in the audit log and on a terminal.
 */
const requestHeaders: FastifyPluginAsync = async (fastify) => {
  const { problem, server } = fastify

  function refusal ({ headers, httpVersion, rawHeaders }: IncomingMessage, isForUs: boolean): Error | undefined {
    const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.length === 4 && name.toLowerCase() === 'host').length
    if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) return problem('bad_request', { detail: 'Send one Host header.' })
    if (isForUs && headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') return problem('expectation_failed')
  }

  // Node would answer an unknown Expect by itself, without a body.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => server.emit('request', request, response))
  fastify.addHook('onRequest', ({ raw, routeOptions: { config } }, _reply, done) => {
    const { headers, headers: { 'user-agent': userAgent = '' } } = raw
    if (/[^ -~]/.test(userAgent)) headers['user-agent'] = toPrintable(userAgent)
    done(refusal(raw, config.browserHeaders !== false)) // a gateway's question may have the Expect of the request that it is about
  })
}

/** Node reads headers as Latin-1, and clients write UTF-8. What is neither printable ASCII nor UTF-8 becomes a question mark. */
function toPrintable (value: string): string {
  const bytes = Buffer.from(value, 'latin1')
  return isUtf8(bytes) ? bytes.toString().replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?') : value.replace(/[^ -~]/g, '?')
}

export default fp(requestHeaders, { name: 'request-headers', dependencies: ['problems'] })
