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
  /** The blocklist's, when as many bits were set. */
  revision: number | undefined
  revoked: number
  kid: string
  goodUntil: number
  token: Promise<string>
}

/** Tells verifiers that have nothing but the keys and a list which access tokens were revoked. */
const statusLists: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, blocklist, config: { issuer }, db, forgetBefore, jobs, metadata, now, signatures, signingKeys } = fastify
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
    const uri = toUri(list)
    // Nobody's audience but its own, so that no verifier of access tokens takes it for one.
    return sign({ sub: uri, aud: uri, iat, exp: iat + LIFETIME_SECONDS, ttl, status_list: { bits: 1, lst } })
  }

  async function token (list: string): Promise<string | undefined> {
    if (!(await db.statusLists.live(now())).includes(list)) {
      signed.delete(list)
      return undefined
    }

    const revision = blocklist.revision() // before the bits are counted: what comes meanwhile is found at the next request
    const revoked = await countRevoked(list, revision)
    const { kid } = signingKeys.current()
    const last = signed.get(list) // another request may have made it meanwhile
    if (last?.revoked !== revoked || last.kid !== kid || now() >= last.goodUntil) return renew(list, { revision, revoked, kid })
    last.revision = revision
    return last.token
  }

  /** A bit is set with a revocation, so they are counted only after one: counting 50,000 takes a millisecond. */
  async function countRevoked (list: string, revision: number | undefined): Promise<number> {
    const last = signed.get(list)
    return revision !== undefined && last?.revision === revision ? last.revoked : db.statusLists.countRevoked(list)
  }

  function renew (list: string, state: Pick<SignedList, 'revision' | 'revoked' | 'kid'>): Promise<string> {
    const made = { ...state, goodUntil: now() + LIFETIME_SECONDS * 1000 / 2, token: signList(list) }
    signed.set(list, made)
    made.token.catch(() => { if (signed.get(list) === made) signed.delete(list) }) // the next request tries again
    return made.token
  }

  function statusOf ({ statusEntries }: Session) {
    const { list, index } = statusEntries.at(-1)! // a stored session has the place of its newest token
    return { status_list: { idx: index, uri: toUri(list) } }
  }

  accessTokens.addClaim('status', { valueOf: statusOf, isValid: isStatus, placeOf })
  metadata.add({ status_list_aggregation_endpoint: `${issuer}/status` })
  jobs.every(PRUNE_INTERVAL_MILLISECONDS, 'prune-status-lists', () => db.statusLists.prune(forgetBefore()))
  fastify.decorate('statusLists', { token, uris: async () => (await db.statusLists.live(now())).map(toUri) })
}

export default fp(statusLists, {
  name: 'status-lists',
  dependencies: [
    'access-tokens', 'blocklist', 'clock', 'config', 'database', 'forgetting', 'jobs', 'metadata', 'signatures', 'signing-keys'
  ]
})
