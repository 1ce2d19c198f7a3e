import { randomBytes } from 'node:crypto'
import fp from 'fastify-plugin'
import { sessionEnder } from './end-sessions.ts'
import { placeOf } from './place.ts'
import { refresher } from './refresh.ts'
import { timesOf } from './session-times.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Actor } from '../core/audit.ts'
import type { NewSession, Session, SessionSummary, User } from '../core/database.ts'

const ID_BYTES = 16
const PRUNE_INTERVAL_MILLISECONDS = 60_000

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
  /** A new session, for a repository to store. */
  begin: (user: Pick<User, 'id' | 'roles'>, request: FastifyRequest) => NewSession
  /** The tokens of a stored session as it is now. */
  tokens: (session: Session) => Tokens
  /**
   * Starts a session for a user whose password was just right.
   * @throws `invalid_credentials` when the account changed while the password was checked
   */
  start: (user: User, request: FastifyRequest) => Promise<Tokens>
  /**
   * Trades a refresh token for the next one (RFC 9700, section 4.14.2): a token used twice ends its session.
   * @throws `wrong_token_type`, `invalid_token`, `token_expired`, `token_revoked`; or `rate_limited` when the session has
   * very many access tokens that are still good
   */
  refresh: (refreshToken: string, request: FastifyRequest) => Promise<Tokens>
  /** The session that a refresh token is good for, undefined for any other text. */
  find: (refreshToken: string) => Promise<Session | undefined>
  /** The session with this id, live or not. */
  findById: (id: string) => Promise<Session | undefined>
  /** The live sessions of a user, the last used first. */
  list: (userId: string) => Promise<SessionSummary[]>
  /**
   * Ends the session of a token of either kind. A refresh token need not be the newest.
   * @throws `missing_token` without a token, `token_revoked` when the session is over, and what `accessTokens.verify` throws
   */
  logOut: (token: string | undefined, request: FastifyRequest) => Promise<void>
  /**
   * Ends one session of a user.
   * @throws `not_found` when the user has no such session
   */
  end: (id: string, userId: string, actor: Actor) => Promise<void>
  /** Ends every session of a user, and gives their number. */
  endAll: (userId: string, actor: Actor) => Promise<number>
  /** Revokes the session of a refresh token, for an API client (RFC 7009). Does nothing when there is none. */
  revoke: (refreshToken: string, request: FastifyRequest) => Promise<void>
  /** Forgets the sessions that have expired. */
  prune: () => Promise<number>
}

/** The life of a login: it begins, continues with every refresh, and ends. */
const sessions: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, audit, config, db, forgetBefore, jobs, now, problem, refreshTokens } = fastify
  const rotate = refresher(fastify)

  function secondsUntil (time: number): number {
    return Math.ceil((time - now()) / 1000)
  }

  function begin ({ id: userId, roles }: Pick<User, 'id' | 'roles'>, request: FastifyRequest): NewSession {
    const createdAt = now()
    return {
      id: randomBytes(ID_BYTES).toString('base64url'),
      userId,
      roles,
      generation: 0,
      createdAt,
      ...timesOf(createdAt, createdAt, config),
      ...placeOf(request)
    }
  }

  function tokens (session: Session): Tokens {
    return {
      access_token: accessTokens.issue(session),
      refresh_token: refreshTokens.make(session.id, session.generation),
      token_type: 'Bearer',
      expires_in: secondsUntil(accessTokens.expiryOf(session)),
      refresh_token_expires_in: secondsUntil(session.expiresAt)
    }
  }

  async function start (user: User, request: FastifyRequest): Promise<Tokens> {
    const session = await db.sessions.add(begin(user, request), user, audit.entry(request, (start) => start
      ? { event: 'signed_in', subject: user.id, session: start.begun.id, target: start.ended, isBySubject: true }
      : { event: 'sign_in_refused', outcome: 'invalid_credentials', subject: user.id }))
    if (!session) throw problem('invalid_credentials')
    return tokens(session)
  }

  async function find (refreshToken: string): Promise<Session | undefined> {
    const read = refreshTokens.read(refreshToken)
    const session = read && await db.sessions.findById(read.sid)
    return session && session.generation === read.generation && session.expiresAt > now() ? session : undefined
  }

  const prune = () => db.sessions.prune(forgetBefore())

  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-sessions', prune)
  fastify.decorate('sessions', {
    begin,
    tokens,
    start,
    refresh: async (refreshToken, request) => tokens(await rotate(refreshToken, request)),
    find,
    findById: db.sessions.findById,
    list: (userId) => db.sessions.list(userId, now()),
    ...sessionEnder(fastify),
    prune
  })
}

export default fp(sessions, {
  name: 'sessions',
  dependencies: ['access-tokens', 'audit', 'clock', 'config', 'database', 'forgetting', 'jobs', 'problems', 'refresh-tokens']
})
