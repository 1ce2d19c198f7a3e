import { UsersPage, UsersQuery, cursorAfter, positionOf, toUser } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const list: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, requireRole } = fastify

  fastify.get('', {
    schema: {
      operationId: 'listUsers',
      summary: 'List accounts, the oldest first',
      tags: ['users'],
      querystring: UsersQuery,
      response: { 200: UsersPage }
    },
    onRequest: requireRole('admin')
  }, async ({ query: { limit: wanted, cursor, q } }) => {
    const limit = wanted! // the schema has a default
    const found = await accounts.list({ limit: limit + 1, after: cursor === undefined ? undefined : positionOf(cursor), prefix: q })
    const page = found.slice(0, limit)
    const last = page.at(-1)
    return { users: page.map(toUser), next_cursor: last && found.length > limit ? cursorAfter(last) : null }
  })
}

export default list
