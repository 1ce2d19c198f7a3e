import fp from 'fastify-plugin'
import { boundedHash, randomHash } from './hashes.ts'
import { createPolicy } from './policy.ts'
import { poolOf } from './pool.ts'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { passwords: Passwords }
}

export interface Passwords {
  /**
   * For work that is wanted only if a hash can follow. Here and below `client` is the address that asks, and
   * `busy` means that too many hashes wait already, in all or of this client.
   * @throws `busy`
   */
  assertRoom: (client?: string) => void
  /**
   * Hashes with argon2id.
   * @throws `busy`
   */
  hash: (password: string, client?: string) => Promise<string>
  /**
   * Verifies a password. Without a hash the answer is false and takes as long as with `decoy`, another account's hash, or
   * with a new one when there is none.
   * @throws `busy`
   */
  verify: (passwordHash: string | undefined, password: string, options?: { decoy?: string, client?: string }) => Promise<boolean>
  /** The hashes that are being computed now, and those that wait for a thread. */
  load: () => { running: number, waiting: number }
  /** True for a hash that was made with other parameters than those of today. */
  isOutdated: (passwordHash: string) => boolean
  /**
   * Checks a new password: long enough, not commonly used, not one of the person's own names.
   * @throws `weak_password`
   */
  assertStrong: (password: string, names: Array<string | null | undefined>) => Promise<void>
}

/**
 * Hashes in threads of the lowest priority, so that a storm of sign-ins slows down neither the checking of tokens nor the
 * file system calls of the process. The queue for a thread is bounded, and shared out among clients.
 */
const passwords: FastifyPluginAsync = async (fastify) => {
  const { config: { argon2: { memoryCost, timeCost, threads, queue } }, fairShares, log, problem } = fastify
  const parameters = `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=1$`
  const pool = poolOf(threads)
  const fallbackDecoy = randomHash(parameters)
  const places = fairShares(threads + queue)

  function assertRoom (client?: string) {
    if (!places.hasRoom(client)) throw problem('busy')
  }

  async function run (name: 'hash' | 'verify', task: object, client?: string) {
    const leave = places.take(client)
    if (!leave) throw problem('busy')
    try {
      return await pool.run(task, { name })
    } finally {
      leave()
    }
  }

  function hash (password: string, client?: string): Promise<string> {
    return run('hash', { password: password.normalize('NFC'), memoryCost, timeCost }, client)
  }

  async function verify (passwordHash: string | undefined, password: string, { decoy, client }: { decoy?: string, client?: string } = {}) {
    const own = boundedHash(passwordHash)
    if (passwordHash !== own) log.error({ event: 'absurd_hash' }, 'a stored password hash has parameters that are not ours')
    const task = { password: password.normalize('NFC'), passwordHash: own ?? boundedHash(decoy) ?? fallbackDecoy }
    const matches = await run('verify', task, client)
    return own !== undefined && matches
  }

  function load () {
    const running = Math.min(places.taken(), threads)
    return { running, waiting: places.taken() - running }
  }

  function onError (err: Error) {
    log.error({ err }, 'a thread for hashing could not start, or ended by itself')
    pool.destroy() // rejects what waits for a thread; the next password starts new ones
  }

  pool.on('error', onError)
  fastify.addHook('onClose', async () => { pool.off('error', onError) })
  fastify.decorate('passwords', {
    assertRoom,
    hash,
    verify,
    load,
    isOutdated: (passwordHash) => !passwordHash.startsWith(parameters),
    assertStrong: createPolicy(fastify)
  })
}

export default fp(passwords, { name: 'passwords', dependencies: ['config', 'fair-shares', 'problems'] })
