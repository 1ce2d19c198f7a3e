import { availableParallelism } from 'node:os'
import { Type } from 'typebox'
import { limit, oneOf, wholeNumber } from './kinds.ts'
import { toMilliseconds, toSeconds } from './parse.ts'
import type { Static, TObject } from 'typebox'

const MOST_THREADS = 64

export const accountSettings = {
  REGISTRATION: oneOf(['open', 'closed'], 'open'),
  NAME_HOLD: Type.String({ default: '30d', pattern: '^\\d{1,6}(s|m|h|d)$', description: 'a duration with its unit, such as 30d or 0s' }),
  PASSWORD_MIN_LENGTH: wholeNumber(8, 64, 8),
  ARGON2_MEMORY_KIB: wholeNumber(1024, 262_144, 19_456, 'of KiB '),
  ARGON2_TIME_COST: wholeNumber(1, 10, 2),
  ARGON2_THREADS: wholeNumber(1, MOST_THREADS, Math.min(Math.max(1, availableParallelism() - 1), MOST_THREADS)),
  ARGON2_QUEUE: wholeNumber(1, 10_000, 64),
  RATE_LIMIT: oneOf(['on', 'off'], 'on'),
  RATE_LIMIT_ADDRESS: limit('100/1m'),
  RATE_LIMIT_GUESSES: limit('50/5m'),
  RATE_LIMIT_ACCOUNT: limit('10/15m'),
  RATE_LIMIT_PAIR: limit('5/15m')
}

/** Registration, the hashing of passwords, and the limits on attempts. */
export function toAccountConfig (env: Static<TObject<typeof accountSettings>>) {
  return {
    registrationIsOpen: env.REGISTRATION === 'open',
    nameHoldSeconds: toSeconds(env.NAME_HOLD),
    passwordMinLength: env.PASSWORD_MIN_LENGTH,
    argon2: {
      memoryCost: env.ARGON2_MEMORY_KIB,
      timeCost: env.ARGON2_TIME_COST,
      threads: env.ARGON2_THREADS,
      queue: env.ARGON2_QUEUE
    },
    rateLimit: env.RATE_LIMIT === 'on' && {
      address: toWindow(env.RATE_LIMIT_ADDRESS),
      guesses: toWindow(env.RATE_LIMIT_GUESSES),
      account: toWindow(env.RATE_LIMIT_ACCOUNT),
      pair: toWindow(env.RATE_LIMIT_PAIR)
    }
  }
}

function toWindow (limit: string) {
  const [max = '', window = ''] = limit.split('/')
  return { max: Number(max), windowMilliseconds: toMilliseconds(window) }
}
