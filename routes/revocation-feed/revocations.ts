import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Cursor = Type.String({ pattern: '^\\d{1,15}$', examples: ['0'] })

const RevocationsQuery = Type.Object({
  since: Type.Optional({ ...Cursor, description: 'The `cursor` of the answer before; 0 for all that have not expired' })
}, { additionalProperties: false })

const Revocation = Type.Object({
  kind: Type.Enum(['jti', 'sid', 'kid'], { description: 'The kind of id: of an access token, a session or a signing key' }),
  id: Type.String(),
  until: Type.String({ format: 'date-time', description: 'From then on it has expired anyway' })
}, { title: 'Revocation' })

const Revocations = Type.Object({
  revocations: Type.Array(Revocation),
  cursor: { ...Cursor, description: 'The `since` of the next page' },
  more: Type.Boolean({ description: 'True when there is another page' })
}, { title: 'Revocations' })

const RevocationEvents = Type.String({
  description: 'Events named `revoked`, whose data is one of `revocations`',
  examples: ['id: 1\nevent: revoked\ndata: {"kind":"sid",…}\n\n']
})

export const prefixOverride = ''

const revocations: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticateClient, revocationFeed } = fastify

  fastify.get('/revocations', {
    exposeHeadRoute: false, // a HEAD request would follow for nobody
    schema: {
      operationId: 'followRevocations',
      summary: 'Follow revocations: server-sent events, or with "since" a page of JSON',
      description: 'The id of an event is its cursor: a client that comes back with `Last-Event-ID` misses nothing. ' +
        'With `Accept: text/event-stream` and `since`, events are sent too.',
      tags: ['gateway'],
      querystring: RevocationsQuery,
      response: {
        200: {
          description: 'Revocations',
          content: {
            'application/json': { schema: Revocations },
            'text/event-stream': { schema: RevocationEvents }
          }
        }
      }
    },
    onRequest: authenticateClient
  }, async ({ apiClient, headers, query: { since } }, reply) => {
    if (since === undefined || headers.accept?.includes('text/event-stream')) {
      const from = Number(/^\d{1,15}$/.exec(String(headers['last-event-id'] ?? since ?? 0))?.[0] ?? 0)
      reply.type('text/event-stream').header('x-accel-buffering', 'no')
      return reply.send(revocationFeed.follow(from, apiClient!) as never) // the hook has set it; a stream is not what the schema describes
    }

    const { revocations, isFull } = await revocationFeed.page(Number(since))
    return {
      revocations: revocations.map(({ kind, revokedId, until }) => ({ kind, id: revokedId, until: new Date(until).toISOString() })),
      cursor: String(revocations.at(-1)?.sequence ?? since),
      more: isFull
    }
  })
}

export default revocations
