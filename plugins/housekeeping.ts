import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const INTERVAL_MILLISECONDS = 60_000

/** Forgets, once a minute, what has expired. */
const housekeeping: FastifyPluginAsync = async (fastify) => {
  const { blocklist, log, sessions } = fastify

  async function tidy () {
    try {
      await blocklist.prune()
      await sessions.prune()
    } catch (err) {
      log.error({ err }, 'what has expired could not be forgotten, and will be tried again')
    }
  }

  const timer = setInterval(tidy, INTERVAL_MILLISECONDS)
  timer.unref()
  fastify.addHook('onClose', async () => clearInterval(timer))
}

export default fp(housekeeping, { name: 'housekeeping', dependencies: ['blocklist', 'sessions'] })
