import { createHmac } from 'node:crypto'
import { normalizeIP } from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Bucket } from './db.ts'

/** For how long an address counts as one that has signed in to an account. */
const KNOWN_MILLISECONDS = 90 * 86_400_000

declare module 'fastify' {
  interface FastifyInstance { guesses: Guesses }
}

export interface Guesses {
  /**
   * Runs `isRight` for a password that somebody tries, and gives what it gave. The guess is counted as wrong before,
   * by address, by account and by the pair of them, and taken back when it was right, or was never looked at.
   * An address that has signed in to the account is counted and limited by the pair alone.
   * `account` is what the caller named, whether or not there is such an account.
   * @throws `rate_limited`, `busy`, and what `isRight` throws
   */
  check: (account: string, request: FastifyRequest, isRight: () => Promise<boolean>) => Promise<boolean>
  /** Remembers that the address of this request has signed in to an account. */
  remember: (account: string, request: FastifyRequest) => void
}

/** Bounds how often passwords can be guessed: with every wrong one the wait grows. */
const guesses: FastifyPluginAsync = async (fastify) => {
  const { config: { rateLimit: limits }, db, log, masterKey, now, passwords, problem } = fastify
  const secret = masterKey.derive('guesses')

  /** Nothing in the database tells who was guessed at, or from where. */
  function keyOf (...parts: string[]): string {
    return createHmac('sha256', secret).update(JSON.stringify(parts)).digest('base64url')
  }

  function pairOf (account: string, { ip }: FastifyRequest): string {
    return keyOf('pair', normalizeIP(ip), account)
  }

  function knownFromNow (key: string) {
    return { key, until: now() + KNOWN_MILLISECONDS }
  }

  /** Nobody waits for it: at a login it shares the commit that starts the session, and what is lost only counts as wrong. */
  function takeBack (...args: Parameters<typeof db.guesses.takeBack>) {
    db.guesses.takeBack(...args).catch((err) => log.warn({ err }, 'a right password could not be told from a wrong one: it counts as wrong until it is forgotten'))
  }

  fastify.decorate('guesses', {
    async check (account, request, isRight) {
      if (!limits) return isRight()
      passwords.assertRoom() // a flood beyond it writes nothing
      const pair = pairOf(account, request)
      const others = [{ key: keyOf('address', normalizeIP(request.ip)), ...limits.guesses }, { key: keyOf('account', account), ...limits.account }]
      const admission = await db.guesses.admit({ key: pair, ...limits.pair }, others, now())
      if ('closed' in admission) throw problem('rate_limited', { headers: headersOf(admission.closed, now()) })

      try {
        const itIsRight = await isRight()
        if (itIsRight) takeBack(admission.counts, knownFromNow(pair))
        return itIsRight
      } catch (error) {
        takeBack(admission.counts)
        throw error
      }
    },

    remember (account, request) {
      if (limits) takeBack([], knownFromNow(pairOf(account, request)))
    }
  })
}

function headersOf ({ max, opensAt }: Bucket & { opensAt: number }, time: number) {
  const wait = String(Math.ceil((opensAt - time) / 1000))
  return { 'ratelimit-limit': String(max), 'ratelimit-remaining': '0', 'ratelimit-reset': wait, 'retry-after': wait }
}

export default fp(guesses, { name: 'guesses', dependencies: ['clock', 'config', 'db', 'master-key', 'passwords', 'problem'] })
