import { randomBytes } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Fact } from './audit.ts'
import type { NewSession, RotationOutcome, Session, User } from './db.ts'

const ID_BYTES = 16
const USER_AGENT_LENGTH = 256

/** Of one session: with tokens that live for 15 minutes, a refresh every four seconds. */
const MOST_LIVE_TOKENS = 256

declare module 'fastify' {
  interface FastifyInstance { sessions: Sessions }
}

/** A token response (RFC 6749, section 5.1). */
export interface Tokens {
  access_token: string
  refresh_token: string
  token_type: 'Bearer'
  expires_in: number
  refresh_token_expires_in: number
}

export interface Sessions {
  /** A session that has just begun, for a repository to store; nobody is told of it yet. */
  begin: (user: Pick<User, 'id' | 'roles'>, request: FastifyRequest) => NewSession
  /** The tokens of a stored session as it is now. */
  tokens: (session: Session) => Tokens
  /**
   * Starts a session for a user whose password was just right.
   * @throws `invalid_credentials` when the account changed while the password was checked
   */
  start: (user: User, request: FastifyRequest) => Promise<Tokens>
  /**
   * Trades a refresh token for the next one.
   * @throws `wrong_token_type`, `invalid_token`, `token_expired` or `token_revoked`: a token used twice ends its session;
   * or `rate_limited` when the session has very many access tokens that are still good.
   */
  refresh: (refreshToken: string, request: FastifyRequest) => Promise<Tokens>
  /**
   * The session that a token of either kind belongs to. A refresh token need not be the newest.
   * @throws as `accessTokens.verify` does
   */
  idOf: (token: string) => Promise<string>
  /** The session that a refresh token is good for, undefined for any other text. */
  find: (refreshToken: string) => Promise<Session | undefined>
  /** Forgets the sessions that have expired. */
  prune: () => Promise<void>
}

/** A login's life: it begins, goes on with every refresh, and ends. */
const sessions: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, audit, config, db, metrics, now, problem, refreshTokens } = fastify
  const lifetimes = {
    idleLifetime: config.refreshTokenTtlSeconds * 1000,
    maxAge: config.sessionMaxAgeSeconds * 1000,
    accessLifetime: config.accessTokenTtlSeconds * 1000
  }
  const rotation = {
    ...lifetimes,
    grace: config.refreshGraceSeconds * 1000,
    mostLiveTokens: config.rateLimit ? MOST_LIVE_TOKENS : Infinity
  }

  function secondsUntil (time: number): number {
    return Math.ceil((time - now()) / 1000)
  }

  function genuine (refreshToken: string) {
    const read = refreshTokens.read(refreshToken)
    if (!read) throw problem(refreshToken.startsWith('ey') ? 'wrong_token_type' : 'invalid_token')
    return read
  }

  function begin ({ id: userId, roles }: Pick<User, 'id' | 'roles'>, { ip, headers }: FastifyRequest): NewSession {
    const time = now()
    return {
      id: randomBytes(ID_BYTES).toString('base64url'),
      userId,
      roles,
      generation: 0,
      createdAt: time,
      ...db.sessions.timesAt(time, lifetimes),
      ip,
      userAgent: headers['user-agent']?.slice(0, USER_AGENT_LENGTH) ?? null
    }
  }

  function tokens (session: Session): Tokens {
    return {
      access_token: accessTokens.issue(session),
      refresh_token: refreshTokens.make(session.id, session.generation),
      token_type: 'Bearer',
      expires_in: secondsUntil(session.accessExpiresAt),
      refresh_token_expires_in: secondsUntil(session.expiresAt)
    }
  }

  fastify.decorate('sessions', {
    begin,
    tokens,

    async start (user, request) {
      const session = await db.sessions.add(begin(user, request), user, audit.note(request, (start) => start
        ? { event: 'signed_in', subject: user.id, session: start.begun.id, target: start.ended, isBySubject: true }
        : { event: 'sign_in_refused', outcome: 'invalid_credentials', subject: user.id }))
      if (!session) throw problem('invalid_credentials')
      return tokens(session)
    },

    async refresh (refreshToken, request) {
      const { sid, generation } = genuine(refreshToken)
      const result = await db.sessions.rotate(sid, generation, { now: now(), ...rotation }, audit.note(request, (result) => factOf(result, generation)))

      metrics?.refreshed(result.outcome)
      switch (result.outcome) {
        case 'rotated':
        case 'repeated':
          return tokens(result.session)
        case 'crowded':
          throw problem('rate_limited', { headers: { 'retry-after': String(secondsUntil(result.until)) } })
        case 'expired':
          throw problem('token_expired')
        case 'reused':
        case 'unknown':
          throw problem('token_revoked')
      }
    },

    idOf: async (token) => token.startsWith('prt_') ? genuine(token).sid : (await accessTokens.verify(token)).sid,

    async find (refreshToken) {
      const read = refreshTokens.read(refreshToken)
      const session = read && await db.sessions.findById(read.sid)
      return session && session.generation === read.generation && session.expiresAt > now() ? session : undefined
    },

    async prune () {
      await db.sessions.prune(now())
    }
  })
}

/** What is told of a refresh token of this generation; nothing of one whose session is over. */
function factOf (result: RotationOutcome, generation: number): Fact | undefined {
  if (!('session' in result)) return undefined
  const { outcome, session: { id: session, userId: subject, generation: current } } = result
  if (outcome === 'reused') return { event: 'reuse_detected', outcome: 'token_revoked', subject, session, details: { generation, current } }
  return { event: 'refreshed', outcome, subject, session, isBySubject: true }
}

export default fp(sessions, { name: 'sessions', dependencies: ['access-tokens', 'audit', 'clock', 'config', 'db', 'metrics', 'problem', 'refresh-tokens'] })
