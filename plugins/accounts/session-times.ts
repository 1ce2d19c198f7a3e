import type { Config } from '../core/config/index.ts'
import type { SessionTimes } from '../core/database.ts'

/**
 * The times of a session that is used `now`, in milliseconds since 1970. Access tokens expire on whole seconds, as their
 * `exp` says it, and with their session at the latest.
 */
export function timesOf (createdAt: number, now: number, config: Config): SessionTimes {
  const { refreshTokenTtlSeconds, sessionMaxAgeSeconds, accessTokenTtlSeconds } = config
  const end = createdAt + sessionMaxAgeSeconds * 1000
  return {
    lastUsedAt: now,
    expiresAt: Math.min(now + refreshTokenTtlSeconds * 1000, end),
    accessExpiresAt: Math.floor(Math.min(now + accessTokenTtlSeconds * 1000, end) / 1000) * 1000
  }
}
