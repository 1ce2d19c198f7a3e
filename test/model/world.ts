import type { Tokens } from '../../plugins/accounts/sessions.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** The settings of the service that is compared with the model, as both know them. */
export const ENVIRONMENT = { REFRESH_GRACE: '10s', ACCESS_TOKEN_TTL: '60s', REFRESH_TOKEN_TTL: '10m', SESSION_MAX_AGE: '60m', KEY_ROTATION: '30m', KEY_PREPUBLISH: '2m' }
export const GRACE = 10 * SECOND

/** A token is good though the clock was set back so far since it was issued. */
const MOST_SET_BACK = 10 * MINUTE
const IDLE_LIFETIME = 10 * MINUTE
const MAX_AGE = 60 * MINUTE

/** Where everybody is but a thief. */
export const HOME = 'home'

export interface Person {
  id: string
  username: string
  password: string
  isDisabled: boolean
}

export interface AccessToken {
  text: string
  kid: string
  issuedAt: number
  expiresAt: number
  jti: string
}

export interface Session {
  id: string
  person: Person
  createdAt: number
  lastUsedAt: number
  expiresAt: number
  isOver: boolean
  /** By generation: the last one is the live one. */
  refreshTokens: string[]
  /** The generation that its client holds: behind the live one where an answer was lost or somebody else refreshed. */
  held: number
  accessTokens: AccessToken[]
  /** Who refreshed last. */
  place: string
  /** True when the newest access token was seen in use by the process that runs now. */
  isUsed: boolean
}

/** What becomes of a refresh token that is presented. */
export type Fate = 'rotated' | 'rotated_elsewhere' | 'replayed_in_grace' | 'reused' | 'expired' | 'over'

export type World = ReturnType<typeof createWorld>

/** The model: what must hold of sessions and tokens, said as simply as it can be. Times in milliseconds. */
export function createWorld (now: () => number) {
  const people: Person[] = []
  const sessions: Session[] = []
  const revokedKids = new Set<string>()
  const revokedJtis = new Set<string>()

  function liveSessions (person: Person): Session[] {
    return sessions.filter((session) => session.person === person && !session.isOver && now() < session.expiresAt)
  }

  /** Whether a token was issued while the clock was further ahead than is forgiven. */
  function isTooYoung ({ issuedAt }: AccessToken): boolean {
    return issuedAt > now() + MOST_SET_BACK
  }

  return {
    people,
    sessions,
    revokedKids,
    revokedJtis,
    liveSessions,

    /** A login or registration was answered. */
    began (person: Person, { access_token: accessToken, refresh_token: refreshToken }: Tokens): Session {
      const accessTokens = [read(accessToken)]
      const time = now()
      const session = { id: sessionIdOf(accessToken), person, createdAt: time, lastUsedAt: time, expiresAt: time + IDLE_LIFETIME, isOver: false, refreshTokens: [refreshToken], held: 0, accessTokens, place: HOME, isUsed: false }
      sessions.push(session)
      return session
    },

    /** What must become of the refresh token of a generation, were it presented now. */
    fateOf ({ isOver, expiresAt, lastUsedAt, refreshTokens, place, isUsed }: Session, generation: number, from = place): Fate {
      const behind = refreshTokens.length - 1 - generation
      if (isOver) return 'over'
      if (now() >= expiresAt) return 'expired'
      if (behind === 0) return 'rotated'
      const elapsed = now() - lastUsedAt // less than nothing where the clock was set back
      if (behind !== 1 || elapsed <= -SECOND || elapsed >= GRACE) return 'reused'
      if (from === place) return 'replayed_in_grace'
      return isUsed ? 'reused' : 'rotated_elsewhere'
    },

    /** A refresh was answered with a new generation. */
    rotated (session: Session, refreshToken: string, place: string, isUsed = false) {
      session.refreshTokens.push(refreshToken)
      session.place = place
      session.isUsed = isUsed
      session.lastUsedAt = now()
      session.expiresAt = Math.min(now() + IDLE_LIFETIME, session.createdAt + MAX_AGE)
    },

    /** An access token was given out. */
    issued (session: Session, accessToken: string) {
      session.accessTokens.push(read(accessToken))
    },

    /** An access token was checked, and was good. */
    used (session: Session, { issuedAt, jti }: AccessToken) {
      const isYoung = now() <= issuedAt + SECOND + GRACE // older ones matter only if the clock is set back then
      if (isYoung && session.accessTokens.at(-1)!.jti === jti) session.isUsed = true
    },

    /** A process remembers nothing of what the one before it saw. */
    restarted () {
      for (const session of sessions) session.isUsed = false
    },

    /** Somebody's sessions have ended, all but one perhaps. */
    ended (person: Person, except?: Session) {
      for (const session of sessions) if (session.person === person && session !== except) session.isOver = true
    },

    /** Whether an access token must be accepted; anything else must be refused. */
    isGood: ({ isOver }: Session, token: AccessToken) =>
      !isOver && !revokedJtis.has(token.jti) && !revokedKids.has(token.kid) && now() < token.expiresAt && !isTooYoung(token),

    isTooYoung
  }
}

function read (text: string): AccessToken {
  const [header = '', claims = ''] = text.split('.')
  const { iat, exp, jti } = decode(claims)
  return { text, kid: decode(header).kid, issuedAt: iat * SECOND, expiresAt: exp * SECOND, jti }
}

/** The session of an access token. */
export function sessionIdOf (accessToken: string): string {
  return decode(accessToken.split('.')[1]!).sid
}

function decode (part: string) {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
