import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

/** The types that a page may send to another site without asking first (Fetch standard, "CORS-safelisted request-header"). */
const SIMPLE_TYPE = /^\s*(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)\s*(?:;|$)/i

/**
 * Refuses what a page of another site makes a visitor's browser send without a preflight: it would sign in, guess and
 * register from the visitor's address. Programs send neither header, and are not asked.
 */
const crossSiteForms: FastifyPluginAsync = async (fastify) => {
  const { config: { corsOrigins, issuer }, problem } = fastify
  const known = new Set([...corsOrigins, new URL(issuer).origin])

  function isCrossSite ({ headers, host }: FastifyRequest): boolean {
    const { origin, 'sec-fetch-site': site } = headers
    if (origin !== undefined && corsOrigins.includes(origin)) return false
    if (site === 'cross-site') return true
    return origin !== undefined && site !== 'same-origin' && !known.has(origin) && !isOriginOf(host, origin)
  }

  fastify.addHook('onRequest', (request, _reply, done) => {
    const isRefused = isSimple(request) && request.routeOptions.config.browserHeaders !== false && isCrossSite(request)
    done(isRefused ? problem('cross_site') : undefined)
  })
}

/** Other methods, other types and a Bearer token need a preflight. */
function isSimple ({ headers, method }: FastifyRequest): boolean {
  const { authorization = '', 'content-type': type } = headers
  return method === 'POST' && (type === undefined || SIMPLE_TYPE.test(type)) && !/^bearer /i.test(authorization)
}

/** True for the origin of the address that was asked. A gateway may have ended TLS. */
function isOriginOf (host: string, origin: string): boolean {
  return ['http', 'https'].some((scheme) => URL.parse(`${scheme}://${host}`)?.origin === origin)
}

export default fp(crossSiteForms, { name: 'cross-site-forms', dependencies: ['config', 'problems'] })
