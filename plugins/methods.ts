import createRouter from 'find-my-way'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, RouteOptions } from 'fastify'

/** Fastify answers 404 to a known address with another method; RFC 9110 has 405 and `Allow` for it. */
const methods: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  const taken = new Map<string, Array<RouteOptions['method']>>()

  fastify.addHook('onRoute', ({ url, method }) => {
    if (!url.includes('*')) taken.set(url, [...taken.get(url) ?? [], method])
  })

  /** Knows every address, by one method; made when it is first asked, for a route of each other method would slow down every start. */
  function createAddresses () {
    const router = createRouter()
    for (const [url, methods] of taken) router.on('GET', url, () => {}, { allow: methods.flat().join(', ') })
    return router
  }

  let addresses: ReturnType<typeof createAddresses> | undefined

  // Before the body is read, so not in the handler of what is not found.
  fastify.addHook('onRequest', (request, _reply, done) => {
    if (!request.is404) return done()
    const [path = ''] = request.url.split('?')
    addresses ??= createAddresses()
    const address = addresses.find('GET', path)
    done(address ? problem('method_not_allowed', { headers: address.store }) : undefined)
  })
}

export default fp(methods, { name: 'methods', dependencies: ['problem'] })
