import { createHmac } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'
import type { NameHold } from '../core/database.ts'

const PRUNE_INTERVAL_MILLISECONDS = 3_600_000

declare module 'fastify' {
  interface FastifyInstance {
    /** For how long a name that is given up now is kept from everybody but its account (NAME_HOLD). */
    nameHold: () => NameHold
  }
}

/** Keeps names that were given up from whoever would like to be taken for their owner. */
const nameHoldPlugin: FastifyPluginAsync = async (fastify) => {
  const { config: { nameHoldSeconds }, db, forgetBefore, jobs, masterKey, now } = fastify
  const key = masterKey.derive('freed names')

  function keyOf (name: string): string {
    return createHmac('sha256', key).update(name).digest('base64url')
  }

  function nameHold (): NameHold {
    return { now: forgetBefore(0), until: now() + nameHoldSeconds * 1000, keyOf } // no clock that is ahead frees a name
  }

  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-freed-names', () => db.users.pruneFreedNames(forgetBefore()))
  fastify.decorate('nameHold', nameHold)
}

export default fp(nameHoldPlugin, { name: 'name-hold', dependencies: ['clock', 'config', 'database', 'forgetting', 'jobs', 'master-key'] })
