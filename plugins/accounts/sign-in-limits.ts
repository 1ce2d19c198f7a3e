import { createHmac } from 'node:crypto'
import { normalizeIP } from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import { loginKey } from './canonical-names.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Attempt, Bucket } from '../core/database.ts'

/** For so long an address is known to have signed in to an account. */
const KNOWN_MILLISECONDS = 90 * 86_400_000
const PRUNE_INTERVAL_MILLISECONDS = 60_000

declare module 'fastify' {
  interface FastifyInstance { signInLimits: SignInLimits }
}

/** An attempt that was let in. */
export interface AdmittedAttempt { pair: string, counts: Extract<Attempt, { counts: unknown }>['counts'] }

export interface SignInLimits {
  /**
   * Counts an attempt as wrong before its password is checked: by address, by account and by the pair of them. An address
   * that has signed in to the account is counted by the pair alone. `account` is what the caller named, existing or not.
   * @throws `rate_limited`
   */
  admit: (account: string, request: FastifyRequest) => Promise<AdmittedAttempt>
  /** Takes an attempt back whose password was right, or was never checked. `remember`: this address has signed in to the account. */
  forgive: (attempt: AdmittedAttempt, options?: { remember: boolean }) => void
  /** Remembers that the address of this request has signed in with this name. */
  remember: (login: string, request: FastifyRequest) => void
}

/** Throttles guessing: with every wrong password the next one waits longer. */
const signInLimits: FastifyPluginAsync = async (fastify) => {
  const { config: { rateLimit: limits }, db, jobs, log, masterKey, now, problem } = fastify
  const secret = masterKey.derive('guesses')

  /** Keyed hashes: the database does not tell who was tried, or from where. */
  function toKey (...parts: string[]): string {
    return createHmac('sha256', secret).update(JSON.stringify(parts)).digest('base64url')
  }

  function toPair (account: string, { ip }: FastifyRequest): string {
    return toKey('pair', normalizeIP(ip), account)
  }

  async function admit (account: string, request: FastifyRequest): Promise<AdmittedAttempt> {
    const pair = toPair(account, request)
    if (!limits) return { pair, counts: [] }
    const others = [
      { key: toKey('address', normalizeIP(request.ip)), ...limits.guesses },
      { key: toKey('account', account), ...limits.account }
    ]
    const attempt = await db.signInLimits.admit({ key: pair, ...limits.pair }, others, now())
    if ('closed' in attempt) throw problem('rate_limited', { headers: toHeaders(attempt.closed, now()) })
    return { pair, counts: attempt.counts }
  }

  /** Nobody waits for it: at a sign-in it shares the commit that starts the session, and if it is lost the attempt counts as wrong. */
  function forgive ({ pair, counts }: AdmittedAttempt, { remember } = { remember: false }) {
    if (!limits) return
    const known = remember ? { key: pair, until: now() + KNOWN_MILLISECONDS } : undefined
    db.signInLimits.forgive(counts, known)
      .catch((err) => log.warn({ err }, 'an attempt with a right password could not be taken back, and counts as wrong'))
  }

  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-sign-in-limits', () => db.signInLimits.prune(now()))
  fastify.decorate('signInLimits', {
    admit,
    forgive,
    remember: (login, request) => forgive({ pair: toPair(`name ${loginKey(login)}`, request), counts: [] }, { remember: true })
  })
}

function toHeaders ({ max, opensAt }: Bucket & { opensAt: number }, time: number) {
  const wait = String(Math.ceil((opensAt - time) / 1000))
  return { 'ratelimit-limit': String(max), 'ratelimit-remaining': '0', 'ratelimit-reset': wait, 'retry-after': wait }
}

export default fp(signInLimits, { name: 'sign-in-limits', dependencies: ['clock', 'config', 'database', 'jobs', 'master-key', 'problems'] })
