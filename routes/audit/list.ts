import { AuditPage, AuditQuery, toAuditEvent } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const list: FastifyPluginAsyncTypebox = async (fastify) => {
  const { auditLog, requireRole } = fastify

  fastify.get('', {
    schema: {
      operationId: 'listAuditEvents',
      summary: 'List audit events, the newest first',
      tags: ['audit'],
      querystring: AuditQuery,
      response: { 200: AuditPage }
    },
    onRequest: requireRole('admin')
  }, async ({ query: { limit, cursor, user, event, since, request_id: requestId } }) => {
    const { events, next } = await auditLog.list({
      limit: limit!, // the schema has a default
      before: cursor === undefined ? undefined : Number(cursor),
      since: since === undefined ? undefined : Date.parse(since),
      subject: user,
      event,
      requestId
    })
    return { events: events.map(toAuditEvent), next_cursor: next === undefined ? null : String(next) }
  })
}

export default list
