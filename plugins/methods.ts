import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** Answers 405 and `Allow` to the other methods of every address that has a route by now. */
    refuseOtherMethods: () => void
  }
}

/** Fastify answers 404 to a known address with another method; RFC 9110 has 405 for it. */
const methods: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  const urls = new Set<string>()

  fastify.addHook('onRoute', ({ url }) => { urls.add(url) })

  fastify.decorate('refuseOtherMethods', () => {
    for (const url of [...urls].filter((url) => !url.includes('*'))) {
      const isTaken = (method: string) => fastify.hasRoute({ url, method })
      const allow = fastify.supportedMethods.filter(isTaken).join(', ')
      const refuse = async () => { throw problem('method_not_allowed', { headers: { allow } }) }
      fastify.route({
        url,
        method: fastify.supportedMethods.filter((method) => !isTaken(method)),
        schema: { hide: true },
        onRequest: refuse, // before the body is read
        handler: refuse
      })
    }
  })
}

export default fp(methods, { name: 'methods', dependencies: ['problem'] })
