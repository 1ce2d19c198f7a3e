import { Type } from 'typebox'
import manifest from '../package.json' with { type: 'json' }
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Home = Type.Object({
  name: Type.String({ examples: ['postern'] }),
  version: Type.String({ examples: [manifest.version] }),
  docs: Type.Union([Type.String({ examples: ['/docs'] }), Type.Null()]),
  jwks: Type.String({ examples: ['/.well-known/jwks.json'] })
})

const home: FastifyPluginAsyncTypebox = async (fastify) => {
  const { config } = fastify

  fastify.get('/', {
    schema: { summary: 'What this is, and where to go on', tags: ['service'], response: { 200: Home } }
  }, async () => ({
    name: manifest.name,
    version: manifest.version,
    docs: config.docs ? '/docs' : null,
    jwks: '/.well-known/jwks.json'
  }))
}

export default home
