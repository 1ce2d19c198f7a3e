import { Type } from 'typebox'
import manifest from '../package.json' with { type: 'json' }
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Home = Type.Object({
  name: Type.String({ examples: ['postern'] }),
  version: Type.String({ examples: [manifest.version] }),
  docs: Type.Union([Type.String({ examples: ['/docs'] }), Type.Null()]),
  jwks: Type.String({ examples: ['/.well-known/jwks.json'] })
}, { title: 'ServiceInfo', description: 'Name, version and addresses' })

const home: FastifyPluginAsyncTypebox = async (fastify) => {
  const { metadata } = fastify

  fastify.get('/', {
    schema: {
      operationId: 'getServiceInfo',
      summary: 'Get name, version and where to go on',
      tags: ['service'],
      response: { 200: Home }
    },
    config: { open: 'a name and two addresses' }
  }, async () => ({
    name: manifest.name,
    version: manifest.version,
    docs: metadata.pathOf('service_documentation') ?? null,
    jwks: metadata.pathOf('jwks_uri')!
  }))
}

export default home
