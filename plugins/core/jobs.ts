import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { jobs: Jobs }
}

export interface Jobs {
  /**
   * Runs `work` every so many milliseconds, never twice at once, until the server closes. A failure is logged, and the
   * next round tries again.
   */
  every: (intervalMilliseconds: number, name: string, work: () => Promise<unknown>) => void
}

/** Recurring work: pruning, rotating keys, sending. Each plugin registers its own; a command does none of it. */
const jobs: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { log } = fastify
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

  function every (intervalMilliseconds: number, name: string, work: () => Promise<unknown>) {
    if (names.has(name)) throw new Error(`There are two jobs "${name}".`)
    names.add(name)
    if (!isServing) return
    const timer = setInterval(() => { if (!running.has(name)) running.set(name, run(name, work)) }, intervalMilliseconds)
    timers.push(timer.unref())
  }

  fastify.addHook('onClose', async () => {
    timers.forEach(clearInterval)
    await Promise.all(running.values())
  })
  fastify.decorate('jobs', { every })
}

export default fp(jobs, { name: 'jobs', dependencies: ['database'] }) // the database closes after the last job
