import { Type } from 'typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Cursor = Type.String({ pattern: '^\\d{1,15}$', examples: ['0'] })

const RevocationsQuery = Type.Object({
  since: Type.Optional({ ...Cursor, description: 'The `cursor` of the answer before; 0 for all that still matters' })
}, { additionalProperties: false })

const Revocations = Type.Object({
  revocations: Type.Array(Type.Object({
    kind: Type.Enum(['jti', 'sid', 'kid'], { description: 'What the id is of: an access token, a session or a signing key' }),
    id: Type.String(),
    until: Type.String({ format: 'date-time', description: 'From then on it has expired anyway' })
  })),
  cursor: { ...Cursor, description: 'To go on from' },
  more: Type.Boolean({ description: 'Whether there is more already' })
})

const revocations: FastifyPluginAsyncTypebox = async (fastify) => {
  const { authenticateClient, db, revocationFeed } = fastify

  fastify.get('/revocations', {
    exposeHeadRoute: false, // there would be nobody to follow
    schema: {
      summary: 'What was revoked: with `since` what is new as JSON, without it server-sent events as they happen',
      description: 'Events have the cursor as id: who comes back with `Last-Event-ID` misses nothing. `Accept: text/event-stream` asks for events with `since` too.',
      tags: ['gateway'],
      querystring: RevocationsQuery,
      response: {
        200: {
          description: 'What was revoked',
          content: {
            'application/json': { schema: Revocations },
            'text/event-stream': { schema: Type.String({ description: 'Events named `revoked`, whose data is one of `revocations`', examples: ['id: 1\nevent: revoked\ndata: {"kind":"sid",…}\n\n'] }) }
          }
        }
      }
    },
    onRequest: authenticateClient
  }, async ({ query: { since }, headers }, reply) => {
    if (since === undefined || headers.accept?.includes('text/event-stream')) {
      const from = Number(/^\d{1,15}$/.exec(String(headers['last-event-id'] ?? since ?? 0))?.[0] ?? 0)
      return reply.type('text/event-stream').header('x-accel-buffering', 'no').send(revocationFeed.follow(from) as never) // a stream is not what the schema describes
    }

    const page = db.revocations.since(Number(since))
    return {
      revocations: page.map(({ kind, revokedId, until }) => ({ kind, id: revokedId, until: new Date(until).toISOString() })),
      cursor: String(page.at(-1)?.sequence ?? since),
      more: page.length === db.revocations.pageSize
    }
  })
}

export default revocations
