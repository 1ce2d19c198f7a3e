import fp from 'fastify-plugin'
import { toMilliseconds } from './config/parse.ts'
import type { FastifyPluginAsync } from 'fastify'

const EXPIRE_BY = 'TOKENS_EXPIRE_BY'
const UNTRUSTED_GATEWAY = 'UNTRUSTED_GATEWAY'

declare module 'fastify' {
  interface FastifyInstance { serviceState: ServiceState }
}

/** Statements of the service about itself in the database, so that commands go by its settings and not by those of a shell. */
export interface ServiceState {
  /**
   * Until when access tokens may be good that were issued under a longer ACCESS_TOKEN_TTL than today's, in milliseconds
   * since 1970; 0 when there was none.
   */
  tokensExpireBy: () => Promise<number>
  /** Records that a request from this address brought an X-Forwarded-For, though TRUST_PROXY is not set. */
  recordUntrustedGateway: (address: string) => Promise<void>
}

const serviceState: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { config: { recorded, trustProxy }, db, now } = fastify

  async function recordSettings () {
    const before = await db.serviceState.read()
    const state: Record<string, string | undefined> = { ...recorded }
    const [old = 0, today = 0] = [before.ACCESS_TOKEN_TTL, recorded.ACCESS_TOKEN_TTL].map((ttl = '') => toMilliseconds(ttl))
    if (old > today) state[EXPIRE_BY] = String(Math.max(expireBy(before), now() + old))
    if (trustProxy.length > 0) state[UNTRUSTED_GATEWAY] = undefined
    const changes = Object.entries(state).filter(([name, value]) => before[name] !== value)
    if (changes.length > 0) await db.serviceState.record(Object.fromEntries(changes), now())
  }

  if (isServing) await recordSettings()
  fastify.decorate('serviceState', {
    tokensExpireBy: async () => expireBy(await db.serviceState.read()),
    recordUntrustedGateway: (address) => db.serviceState.record({ [UNTRUSTED_GATEWAY]: address }, now())
  })
}

function expireBy ({ [EXPIRE_BY]: time = '0' }: Record<string, string>): number {
  return Number(time)
}

export default fp(serviceState, { name: 'service-state', dependencies: ['clock', 'config', 'database'] })
