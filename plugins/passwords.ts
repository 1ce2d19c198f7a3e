import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import fp from 'fastify-plugin'
import { Piscina } from 'piscina'
import type { FastifyPluginAsync } from 'fastify'

const WORKER = fileURLToPath(new URL('../workers/argon2.ts', import.meta.url))
const LOWEST_PRIORITY = 19
const IDLE_MILLISECONDS = 60_000
const SALT_BYTES = 16
const TAG_BYTES = 32

/** Beyond these a stored hash was not made here, and computing it would stop everybody else. */
const MOST = { memoryCost: 262_144, timeCost: 10, parallelism: 4 }

declare module 'fastify' {
  interface FastifyInstance { passwords: Passwords }
}

export interface Passwords {
  /**
   * For what is to be done only if a hash can follow.
   * @throws the refusal `busy` when too many hashes wait already
   */
  assertRoom: () => void
  /**
   * Hashes with argon2id.
   * @throws the refusal `busy` when too many hashes wait already
   */
  hash: (password: string) => Promise<string>
  /**
   * Whether this is the password of this hash. Without a hash it takes as long as with `example`, another account's,
   * or with a new one when there is none; and the answer is no.
   * @throws the refusal `busy` when too many hashes wait already
   */
  verify: (passwordHash: string | undefined, password: string, example?: string) => Promise<boolean>
  /** How many hashes are being computed now, and how many wait for a thread. */
  load: () => { running: number, waiting: number }
  /** Whether a hash was made with other parameters than those that hold now. */
  isOutdated: (passwordHash: string) => boolean
  /**
   * The policy of NIST SP 800-63B-4 and OWASP ASVS 5: long enough, not commonly used, not one of the person's own names.
   * @throws the refusal `weak_password`
   */
  assertStrong: (password: string, names: Array<string | null | undefined>) => Promise<void>
}

/**
 * Hashes in threads of their own, of the lowest priority, so that a storm of logins slows down neither the checking of
 * tokens nor the file system calls of the process. What waits for a thread is bounded.
 */
const passwords: FastifyPluginAsync = async (fastify) => {
  const { config: { argon2: { memoryCost, timeCost, threads, queue }, passwordMinLength }, log, problem } = fastify
  const parameters = `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=1$`
  const pool = poolOf(threads)
  const onError = (err: Error) => {
    log.error({ err }, 'a thread for hashing could not start, or ended by itself')
    pool.destroy() // rejects what waits for a thread; the next password starts new ones
  }
  pool.on('error', onError)
  fastify.addHook('onClose', async () => { pool.off('error', onError) })

  // Costs what a real one costs, so that the time of an answer does not tell who has an account.
  const decoy = `${parameters}${unpadded(SALT_BYTES)}$${unpadded(TAG_BYTES)}`

  let asked = 0

  function assertRoom () {
    if (asked >= threads + queue) throw problem('busy')
  }

  async function run (name: 'hash' | 'verify', task: object) {
    assertRoom()
    asked++
    try {
      return await pool.run(task, { name })
    } finally {
      asked--
    }
  }

  fastify.decorate('passwords', {
    assertRoom,

    hash: (password) => run('hash', { password: password.normalize('NFC'), memoryCost, timeCost }),

    async verify (passwordHash, password, example) {
      const own = computable(passwordHash)
      if (passwordHash !== own) log.error({ event: 'absurd_hash' }, 'a stored password hash has parameters that are not ours')
      const matches = await run('verify', { password: password.normalize('NFC'), passwordHash: own ?? computable(example) ?? decoy })
      return own !== undefined && matches
    },

    load () {
      const running = Math.min(asked, threads)
      return { running, waiting: asked - running }
    },

    isOutdated: (passwordHash) => !passwordHash.startsWith(parameters),

    async assertStrong (password, names) {
      const normal = password.normalize('NFC').toLowerCase()
      const unit = /^(.+?)\1*$/su.exec(normal)?.[1] ?? normal
      const own = names.flatMap((name) => [name, name?.split('@')[0]]).map((name) => name?.normalize('NFC').trim().toLowerCase())
      const common = await commonPasswords()

      if ([...normal].length < passwordMinLength) throw problem('weak_password', { detail: `This password is too short: choose one of at least ${passwordMinLength} characters.` })
      if (own.includes(normal)) throw problem('weak_password', { detail: 'This password is one of your own names: choose another.' })
      if (common.has(normal) || common.has(unit) || [...unit].length < 4) throw problem('weak_password', { detail: 'This password is among the first that are tried: choose another.' })
    }
  })
}

/**
 * One pool for the process, however many services it makes: its threads cost more to start than a service does.
 * They end when they are idle, and keep no process alive.
 */
function poolOf (threads: number): Piscina {
  const pool = pools.get(threads) ?? new Piscina({
    filename: WORKER,
    execArgv: [], // what the process preloads is not for its threads, and would cost each of them its start
    env: {}, // nor are NODE_OPTIONS, for the same reason, nor secrets
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: IDLE_MILLISECONDS,
    niceIncrement: LOWEST_PRIORITY,
    stricterFIFO: true // else a task that finds no thread goes to the end of the queue
  })
  pools.set(threads, pool)
  return pool
}

const pools = new Map<number, Piscina>()

/** Some 49,000 of the most used passwords, read when the first password is chosen. */
async function commonPasswords (): Promise<Set<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  loaded ??= new Set(dictionary['passwords-common'])
  return loaded
}

let loaded: Set<string> | undefined

/** The hash, unless its parameters are absurd. */
function computable (passwordHash = ''): string | undefined {
  const [hash, m, t, p] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$[\w+/]+\$[\w+/]+$/.exec(passwordHash) ?? []
  return Number(m) <= MOST.memoryCost && Number(t) <= MOST.timeCost && Number(p) <= MOST.parallelism ? hash : undefined
}

function unpadded (bytes: number): string {
  return randomBytes(bytes).toString('base64').replaceAll('=', '')
}

export default fp(passwords, { name: 'passwords', dependencies: ['config', 'problem'] })
