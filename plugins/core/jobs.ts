import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { jobs: Jobs }
}

export interface Jobs {
  /**
   * Runs `work` every so many milliseconds, in one process at a time, until the server closes. A failure is logged, and the
   * next round tries again.
   */
  every: (intervalMilliseconds: number, name: string, work: () => Promise<unknown>) => void
  /** The same in each process: for what it does in its own memory. */
  everywhere: (intervalMilliseconds: number, name: string, work: () => Promise<unknown>) => void
}

/** A job is due a little before its interval is over, or the timer that is early would miss every second round. */
const DUE_AFTER = 0.9

/** Recurring work: pruning, rotating keys, sending. Each plugin registers its own; a command does none of it. */
const jobs: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { db, log, now } = fastify
  const timers: NodeJS.Timeout[] = []
  const names = new Set<string>()
  const running = new Map<string, Promise<void>>()

  async function run (name: string, work: () => Promise<unknown>) {
    try {
      await work()
    } catch (err) {
      log.error({ err, job: name }, 'a job failed, and will be tried again')
    } finally {
      running.delete(name)
    }
  }

  function everywhere (intervalMilliseconds: number, name: string, work: () => Promise<unknown>) {
    if (names.has(name)) throw new Error(`There are two jobs "${name}".`)
    names.add(name)
    if (!isServing) return
    const timer = setInterval(() => { if (!running.has(name)) running.set(name, run(name, work)) }, intervalMilliseconds)
    timers.push(timer.unref())
  }

  function every (intervalMilliseconds: number, name: string, work: () => Promise<unknown>) {
    everywhere(intervalMilliseconds, name, async () => {
      if (await db.jobs.claim(name, Math.floor(intervalMilliseconds * DUE_AFTER), now())) await work()
    })
  }

  fastify.addHook('onClose', async () => {
    timers.forEach(clearInterval)
    await Promise.all(running.values())
  })
  fastify.decorate('jobs', { every, everywhere })
}

export default fp(jobs, { name: 'jobs', dependencies: ['clock', 'database'] }) // the database closes after the last job
