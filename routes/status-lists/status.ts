import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const StatusListParams = Type.Object({ list: Type.String({ pattern: '^[\\w-]{12}$', examples: ['Zk3vR0aTqW4m'] }) })

const StatusLists = Type.Object({
  status_lists: Type.Array(Type.String({ examples: ['https://auth.example.com/status/Zk3vR0aTqW4m'] }))
}, { title: 'StatusLists', description: 'The addresses of the lists' })

export const prefixOverride = ''

const status: FastifyPluginAsyncTypebox = async (fastify) => {
  const { notModified, problem, statusLists } = fastify

  fastify.get('/status', {
    schema: {
      operationId: 'listStatusLists',
      summary: 'List the addresses of all status lists',
      description: 'draft-ietf-oauth-status-list-21, section 9.3',
      tags: ['gateway'],
      response: { 200: StatusLists }
    },
    config: { open: 'verifiers have no token' }
  }, async () => ({ status_lists: await statusLists.uris() }))

  fastify.get('/status/:list', {
    schema: {
      operationId: 'getStatusList',
      summary: 'Get a status list: a signed list with a bit for every access token, 1 for a revoked one',
      description: 'draft-ietf-oauth-status-list-21, section 5.1. The bits are compressed in the token.',
      tags: ['gateway'],
      params: StatusListParams,
      response: {
        200: { description: 'The list', content: { 'application/statuslist+jwt': { schema: Type.String() } } },
        304: Type.Null({ description: 'Not modified' })
      }
    },
    config: { open: 'verifiers have no token', refusals: ['not_found'] }
  }, async (request, reply) => {
    const token = await statusLists.token(request.params.list)
    if (token === undefined) throw problem('not_found')

    reply.header('cache-control', 'no-cache') // verifiers keep it for its `ttl`, caches on the way do not
    if (notModified(token, reply)) return reply.code(304).send(null)
    return reply.type('application/statuslist+jwt').send(token)
  })
}

export default status
