import { createHmac } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Attempt, Bucket, KnownPair } from '../core/database.ts'

/** For so long an address is known to have signed in to an account. */
const KNOWN_MILLISECONDS = 90 * 86_400_000
const PRUNE_INTERVAL_MILLISECONDS = 60_000

/** A /56 may hold so many times as many guessers as a /64, and a /48 as a /56. */
const WIDER = 4

declare module 'fastify' {
  interface FastifyInstance { signInLimits: SignInLimits }
}

/** An attempt that was let in. */
export interface AdmittedAttempt { counts: Extract<Attempt, { counts: unknown }>['counts'] }

export interface SignInLimits {
  /**
   * Counts an attempt as wrong before its password is checked: by address, by account and by the pair of them. An address
   * that has signed in to the account is counted by the pair alone. `account` is what the caller named, existing or not;
   * `userId` whose it is, if anybody's.
   * @throws `rate_limited`
   */
  admit: (account: string, userId: string | undefined, request: FastifyRequest) => Promise<AdmittedAttempt>
  /** Takes an attempt back whose password was right, or was never checked. */
  forgive: (attempt: AdmittedAttempt) => void
  /** Remembers that the address of this request has signed in to this account. Takes back the attempt that was right. */
  remember: (userId: string, request: FastifyRequest, attempt?: AdmittedAttempt) => void
}

/** Throttles guessing: with every wrong password the next one waits longer. */
const signInLimits: FastifyPluginAsync = async (fastify) => {
  const { clientAddresses: { networksOf }, config: { rateLimit: limits }, steadyNow: now } = fastify
  const { db, forgetBefore, jobs, log, masterKey, problem } = fastify
  const secret = masterKey.derive('guesses')

  /** Keyed hashes: the database does not tell who was tried, or from where. */
  function toKey (...parts: string[]): string {
    return createHmac('sha256', secret).update(JSON.stringify(parts)).digest('base64url')
  }

  /** By the account's id, not by its name: a name may belong to somebody else tomorrow. */
  function toKnownPair (userId: string, { ip }: FastifyRequest): string {
    return toKey('known', networksOf(ip)[0], userId)
  }

  async function admit (account: string, userId: string | undefined, request: FastifyRequest): Promise<AdmittedAttempt> {
    if (!limits) return { counts: [] }
    const networks = networksOf(request.ip)
    const attempt = await db.signInLimits.admit({
      pair: { key: toKey('pair', networks[0], account), ...limits.pair },
      others: [
        ...networks.map((network, i) => ({ ...limits.guesses, key: toKey('address', network), max: limits.guesses.max * WIDER ** i })),
        { key: toKey('account', account), ...limits.account }
      ],
      knownPair: toKnownPair(userId ?? '', request) // a name that nobody has costs the same
    }, now())
    if ('closed' in attempt) throw problem('rate_limited', { headers: toHeaders(attempt.closed, now()) })
    return { counts: attempt.counts }
  }

  /** Nobody waits for it: at a sign-in it shares the commit that starts the session, and if it is lost the attempt counts as wrong. */
  function settle ({ counts }: AdmittedAttempt, known?: KnownPair) {
    if (!limits) return
    db.signInLimits.forgive(counts, known)
      .catch((err) => log.warn({ err }, 'an attempt with a right password could not be taken back, and counts as wrong'))
  }

  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-sign-in-limits', () => db.signInLimits.prune(forgetBefore(0)))
  fastify.decorate('signInLimits', {
    admit,
    forgive: (attempt) => settle(attempt),
    remember: (userId, request, attempt = { counts: [] }) =>
      settle(attempt, { key: toKnownPair(userId, request), until: now() + KNOWN_MILLISECONDS })
  })
}

function toHeaders ({ max, opensAt }: Bucket & { opensAt: number }, time: number) {
  const wait = String(Math.ceil((opensAt - time) / 1000))
  return { 'ratelimit-limit': String(max), 'ratelimit-remaining': '0', 'ratelimit-reset': wait, 'retry-after': wait }
}

export default fp(signInLimits, {
  name: 'sign-in-limits',
  dependencies: ['client-addresses', 'clock', 'config', 'database', 'forgetting', 'jobs', 'master-key', 'problems']
})
