import { promisify } from 'node:util'
import { constants, deflate } from 'node:zlib'
import { parse as parseMilliseconds } from '@lukeed/ms'
import fp from 'fastify-plugin'
import { settings } from './settings.ts'
import { isStatus, placeOf } from './status-claim.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Session } from '../../core/database.ts'

const TYPE = 'statuslist+jwt'
const LIFETIME_SECONDS = 3600
const PRUNE_INTERVAL_MILLISECONDS = 60_000

/** A list is runs of zeros with a bit here and there. Looking for anything else takes 500 times as long, and saves nothing. */
const COMPRESSION = { strategy: constants.Z_RLE }

const compress = promisify(deflate)

declare module 'fastify' {
  interface FastifyInstance { statusLists: StatusLists }
}

export interface StatusLists {
  /**
   * The signed list of that id as it is now (draft-ietf-oauth-status-list-21, section 5.1). Undefined when there is
   * none, or none any more.
   */
  token: (list: string) => Promise<string | undefined>
  /** The addresses of all lists that a live token may point to. */
  uris: () => Promise<string[]>
}

interface SignedList {
  revoked: number
  kid: string
  goodUntil: number
  token: Promise<string>
}

/** Tells verifiers that have nothing but the keys and a list which access tokens were revoked. */
const statusLists: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, config: { issuer }, db, jobs, metadata, now, signatures, signingKeys } = fastify
  const { STATUS_LIST_TTL } = fastify.settings(settings)
  const ttl = parseMilliseconds(STATUS_LIST_TTL)! / 1000 // the setting is a duration
  const { sign } = signatures(TYPE)
  const signed = new Map<string, SignedList>()

  function toUri (list: string): string {
    return `${issuer}/status/${list}`
  }

  async function signList (list: string): Promise<string> {
    const bits = Buffer.alloc(db.statusLists.capacity / 8)
    for (const index of await db.statusLists.revoked(list)) bits[index >> 3]! |= 1 << (index & 7)

    const iat = Math.floor(now() / 1000)
    const lst = (await compress(bits, COMPRESSION)).toString('base64url')
    return sign({ sub: toUri(list), iat, exp: iat + LIFETIME_SECONDS, ttl, status_list: { bits: 1, lst } })
  }

  async function token (list: string): Promise<string | undefined> {
    if (!(await db.statusLists.live(now())).includes(list)) {
      signed.delete(list)
      return undefined
    }

    const revoked = await db.statusLists.countRevoked(list)
    const { kid } = signingKeys.current()
    const last = signed.get(list)
    if (last && last.revoked === revoked && last.kid === kid && now() < last.goodUntil) return last.token

    const token = signList(list)
    signed.set(list, { revoked, kid, goodUntil: now() + LIFETIME_SECONDS * 1000 / 2, token })
    return token
  }

  function statusOf ({ statusEntries }: Session) {
    const { list, index } = statusEntries.at(-1)! // a stored session has the place of its newest token
    return { status_list: { idx: index, uri: toUri(list) } }
  }

  accessTokens.addClaim('status', { valueOf: statusOf, isValid: isStatus, placeOf })
  metadata.add({ status_list_aggregation_endpoint: `${issuer}/status` })
  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-status-lists', () => db.statusLists.prune(now()))
  fastify.decorate('statusLists', { token, uris: async () => (await db.statusLists.live(now())).map(toUri) })
}

export default fp(statusLists, {
  name: 'status-lists',
  dependencies: ['access-tokens', 'clock', 'config', 'database', 'jobs', 'metadata', 'signatures', 'signing-keys']
})
