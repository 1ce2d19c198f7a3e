import createRouter from 'find-my-way'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, RouteOptions } from 'fastify'

/** Answers 405 with `Allow` (RFC 9110, section 15.5.6) where Fastify answers 404: to a known address with another method. */
const methodNotAllowed: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  const methodsByUrl = new Map<string, Array<RouteOptions['method']>>()
  let router: ReturnType<typeof createAddressRouter> | undefined

  /** Knows every address, whatever its methods. Made at the first need: it adds nothing to a start. */
  function createAddressRouter () {
    const router = createRouter()
    for (const [url, methods] of methodsByUrl) router.on('GET', url, () => {}, { allow: methods.flat().join(', ') })
    return router
  }

  fastify.addHook('onRoute', ({ url, method }) => {
    if (!url.includes('*')) methodsByUrl.set(url, [...methodsByUrl.get(url) ?? [], method])
  })

  // In this hook, and not in the handler of what is not found: the body need not be read.
  fastify.addHook('onRequest', (request, _reply, done) => {
    if (!request.is404) return done()
    const [path = ''] = request.url.split('?')
    router ??= createAddressRouter()
    const address = router.find('GET', path)
    if (!address) return done()
    done(problem('method_not_allowed', { detail: `This address takes other methods: ${address.store.allow}.`, headers: address.store }))
  })
}

export default fp(methodNotAllowed, { name: 'method-not-allowed' })
