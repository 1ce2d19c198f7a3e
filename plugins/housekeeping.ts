import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const INTERVAL_MILLISECONDS = 60_000

/** Forgets, once a minute, what has expired, and sees to it that keys rotate. */
const housekeeping: FastifyPluginAsync = async (fastify) => {
  const { audit, blocklist, db, keys, log, now, sessions } = fastify

  async function tidy () {
    try {
      await blocklist.prune()
      await sessions.prune()
      await keys.rotateWhenDue()
      await db.statusLists.prune(now())
      await db.requestCounts.prune(now())
      await db.guesses.prune(now())
      await audit.prune()
    } catch (err) {
      log.error({ err }, 'the housekeeping could not be done, and will be tried again')
    }
  }

  let tidying: Promise<void> | undefined
  const timer = setInterval(() => { tidying ??= tidy().finally(() => { tidying = undefined }) }, INTERVAL_MILLISECONDS)
  timer.unref()
  fastify.addHook('onClose', async () => {
    clearInterval(timer)
    await tidying
  })
}

export default fp(housekeeping, { name: 'housekeeping', dependencies: ['audit', 'blocklist', 'clock', 'db', 'keys', 'sessions'] })
