import { promisify } from 'node:util'
import { constants, deflate } from 'node:zlib'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const TYPE = 'statuslist+jwt'
const LIFETIME_SECONDS = 3600

/** A list is runs of zeros with a bit here and there: looking for anything else takes 500 times as long, and saves nothing. */
const COMPRESSION = { strategy: constants.Z_RLE }

const compress = promisify(deflate)

declare module 'fastify' {
  interface FastifyInstance { statusLists: StatusLists }
}

export interface StatusLists {
  /** The list of that id as it is now (draft-ietf-oauth-status-list-21, section 5.1); undefined when there is none, or no more. */
  token: (list: string) => Promise<string | undefined>
  /** The addresses of all lists that a live token may point to. */
  uris: () => Promise<string[]>
}

interface Built {
  revoked: number
  kid: string
  goodUntil: number
  token: Promise<string>
}

/** Tells verifiers that have nothing but the keys and a list which access tokens were revoked. */
const statusLists: FastifyPluginAsync = async (fastify) => {
  const { config: { issuer, statusListTtlSeconds: ttl }, db, keys, now, signatures } = fastify
  const { sign } = signatures(TYPE)
  const built = new Map<string, Built>()

  function uriOf (list: string): string {
    return `${issuer}/status/${list}`
  }

  async function build (list: string): Promise<string> {
    const bits = Buffer.alloc(db.statusLists.capacity / 8)
    for (const index of await db.statusLists.revoked(list)) bits[index >> 3]! |= 1 << (index & 7)

    const iat = Math.floor(now() / 1000)
    const lst = (await compress(bits, COMPRESSION)).toString('base64url')
    return sign({ sub: uriOf(list), iat, exp: iat + LIFETIME_SECONDS, ttl, status_list: { bits: 1, lst } })
  }

  fastify.decorate('statusLists', {
    async token (list) {
      if (!(await db.statusLists.live(now())).includes(list)) {
        built.delete(list)
        return undefined
      }

      const revoked = await db.statusLists.countRevoked(list)
      const { kid } = keys.current()
      const last = built.get(list)
      if (last && last.revoked === revoked && last.kid === kid && now() < last.goodUntil) return last.token

      const token = build(list)
      built.set(list, { revoked, kid, goodUntil: now() + LIFETIME_SECONDS * 1000 / 2, token })
      return token
    },

    async uris () {
      return (await db.statusLists.live(now())).map(uriOf)
    }
  })
}

export default fp(statusLists, { name: 'status-lists', dependencies: ['clock', 'config', 'db', 'keys', 'signatures'] })
