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
  /** Makes the refresh token of one generation of a session: always the same one. */
  make: (sid: string, generation: number) => string
  /** Tells a refresh token from other text by its form, authentic or not. */
  has: (text: string) => boolean
  /** Reads an authentic refresh token, whether or not its session still lives. Undefined for any other text. */
  read: (token: string) => { sid: string, generation: number } | undefined
}

/**
 * `prt_` and base64url of session id ‖ generation ‖ HMAC-SHA-256. Nothing of it is stored: a leaked database forges none.
 * Secret scanners find it by its prefix.
 */
const refreshTokens: FastifyPluginAsync = async (fastify) => {
  const key = fastify.masterKey.derive('refresh tokens')

  function computeMac (content: Buffer): Buffer {
    return createHmac('sha256', key).update(content).digest()
  }

  function make (sid: string, generation: number): string {
    const content = Buffer.alloc(SID_BYTES + GENERATION_BYTES)
    content.write(sid, 'base64url')
    content.writeUInt32BE(generation, SID_BYTES)
    return PREFIX + Buffer.concat([content, computeMac(content)]).toString('base64url')
  }

  function read (token: string) {
    if (!token.startsWith(PREFIX)) return undefined
    const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
    const content = bytes.subarray(0, SID_BYTES + GENERATION_BYTES)
    const mac = bytes.subarray(SID_BYTES + GENERATION_BYTES)
    if (mac.length !== MAC_BYTES || !timingSafeEqual(mac, computeMac(content))) return undefined
    return { sid: content.toString('base64url', 0, SID_BYTES), generation: content.readUInt32BE(SID_BYTES) }
  }

  fastify.decorate('refreshTokens', { make, has: (text) => text.startsWith(PREFIX), read })
}

export default fp(refreshTokens, { name: 'refresh-tokens', dependencies: ['master-key'] })
