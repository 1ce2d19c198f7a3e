import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const StatusListParams = Type.Object({ list: Type.String({ pattern: '^[\\w-]{12}$', examples: ['Zk3vR0aTqW4m'] }) })

const StatusLists = Type.Object({ status_lists: Type.Array(Type.String({ examples: ['https://auth.example.com/status/Zk3vR0aTqW4m'] })) })

const status: FastifyPluginAsyncTypebox = async (fastify) => {
  const { isKnownToCaller, problem, statusLists } = fastify

  fastify.get('/status', {
    schema: {
      summary: 'All status lists',
      description: 'draft-ietf-oauth-status-list-21, section 9.3',
      tags: ['gateway'],
      response: { 200: StatusLists }
    }
  }, async () => ({ status_lists: await statusLists.uris() }))

  fastify.get('/status/:list', {
    schema: {
      summary: 'A signed list that has a bit for every access token: 1 when it was revoked',
      description: 'draft-ietf-oauth-status-list-21, section 5.1. The bits are compressed in the token.',
      tags: ['gateway'],
      params: StatusListParams,
      response: {
        200: { description: 'The list', content: { 'application/statuslist+jwt': { schema: Type.String() } } },
        304: Type.Null({ description: 'As it was' })
      }
    },
    config: { refusals: ['not_found'] }
  }, async (request, reply) => {
    const token = await statusLists.token(request.params.list)
    if (token === undefined) throw problem('not_found')

    reply.header('cache-control', 'no-cache') // kept for `ttl` by those who read it, not on the way to them
    if (isKnownToCaller(token, reply)) return reply.code(304).send(null)
    return reply.type('application/statuslist+jwt').send(token)
  })
}

export default status
