import { causeFinder, toTime } from './causes.ts'
import type { FastifyInstance } from 'fastify'
import type { Explanation } from './explanation.ts'

export async function explainRefreshToken (fastify: FastifyInstance, token: string): Promise<Explanation> {
  const { now, refreshTokens, sessions } = fastify
  const read = refreshTokens.read(token)
  if (!read) return { reason: 'bad_signature', explanation: 'The refresh token was changed, cut off, or made under another MASTER_KEY.' }
  const session = await sessions.findById(read.sid)
  if (!session) return { session: read.sid, ...await causeFinder(fastify).ofSession(read.sid) }

  const ids = { subject: session.userId, session: session.id }
  const [end, lastUse] = [session.expiresAt, session.lastUsedAt].map(toTime)
  if (await sessions.find(token)) return { ...ids, reason: 'good', explanation: `The refresh token is good until ${end}.` }
  if (session.expiresAt <= now()) {
    return { ...ids, reason: 'expired', explanation: `The session of the refresh token expired at ${end}.` }
  }
  if (read.generation > session.generation) {
    return { ...ids, reason: 'not_as_issued', explanation: 'The refresh token is newer than the database. Was an older copy restored?' }
  }
  const position = `number ${read.generation} of its session, which is at ${session.generation} since ${lastUse}`
  return {
    ...ids,
    reason: 'already_used',
    explanation: `The refresh token is ${position}. Using it again after REFRESH_GRACE ends the session.`
  }
}
