import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export const ISSUER = 'http://127.0.0.1'
export const AUDIENCE = 'postern'
export const EMAIL = 'ada@example.com'
export const PASSWORD = 'seven yellow umbrellas'
export const TOKENS = 1000
export const REVOKED = 10_000

/** Listens on a free port, and prints its address as the service does. */
export function listen (server: Server) {
  server.listen(0, '127.0.0.1', () => console.log(`ready: http://127.0.0.1:${(server.address() as AddressInfo).port}`)) // it listens on a port
}

/** Claims like those of the service. */
export function claims (id: number) {
  const iat = Math.floor(Date.now() / 1000)
  return { iss: ISSUER, aud: AUDIENCE, sub: `user${id}`, client_id: 'postern', iat, exp: iat + 3600, jti: `token-${id}`, sid: `session-${id}`, roles: [], auth_time: iat }
}

/** The ids of other, revoked tokens. */
export function blocklist (): Set<string> {
  return new Set(Array.from({ length: REVOKED }, (_, i) => `revoked-${i}`))
}
