import type { FastifyRequest } from 'fastify'
import type { Place } from '../core/database.ts'

const USER_AGENT_LENGTH = 256

/** Where a request comes from, as its session keeps it. */
export function placeOf ({ ip, headers }: FastifyRequest): Place {
  return { ip, userAgent: headers['user-agent']?.slice(0, USER_AGENT_LENGTH) ?? null }
}
