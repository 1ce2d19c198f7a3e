import { createHmac, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const PREFIX = 'prt_'
const SID_BYTES = 16
const GENERATION_BYTES = 4
const MAC_BYTES = 32

declare module 'fastify' {
  interface FastifyInstance { refreshTokens: RefreshTokens }
}

export interface RefreshTokens {
  /** The refresh token of one generation of a session: always the same one. */
  make: (sid: string, generation: number) => string
  /** What a genuine refresh token says, whether or not its session still lives; undefined for any other text. */
  read: (token: string) => { sid: string, generation: number } | undefined
}

/**
 * `prt_` and base64url of session id ‖ generation ‖ HMAC-SHA-256. Nothing of it is stored: a leaked
 * database forges none, and secret scanners know it by its prefix.
 */
const refreshTokens: FastifyPluginAsync = async (fastify) => {
  const key = fastify.masterKey.derive('refresh tokens')

  function mac (content: Buffer): Buffer {
    return createHmac('sha256', key).update(content).digest()
  }

  fastify.decorate('refreshTokens', {
    make (sid, generation) {
      const content = Buffer.alloc(SID_BYTES + GENERATION_BYTES)
      content.write(sid, 'base64url')
      content.writeUInt32BE(generation, SID_BYTES)
      return PREFIX + Buffer.concat([content, mac(content)]).toString('base64url')
    },

    read (token) {
      if (!token.startsWith(PREFIX)) return undefined
      const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
      const content = bytes.subarray(0, SID_BYTES + GENERATION_BYTES)
      const presented = bytes.subarray(SID_BYTES + GENERATION_BYTES)
      if (presented.length !== MAC_BYTES || !timingSafeEqual(presented, mac(content))) return undefined
      return { sid: content.toString('base64url', 0, SID_BYTES), generation: content.readUInt32BE(SID_BYTES) }
    }
  })
}

export default fp(refreshTokens, { name: 'refresh-tokens', dependencies: ['master-key'] })
