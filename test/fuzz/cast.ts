import { randomBytes } from 'node:crypto'
import { toColumns } from '../../plugins/accounts/canonical-names.ts'
import { PASSWORD, basic } from '../helper.ts'
import type { FastifyInstance } from 'fastify'

/** What `{name}` in a generated request stands for. */
export type Cast = Record<string, string>

/** Somebody with an account, an administrator and a client, with tokens of every kind: made anew when a request has ended theirs. */
export async function createCast (server: FastifyInstance) {
  const { accessTokens, apiClients, db, passwords, refreshTokens } = server
  const passwordHash = await passwords.hash(PASSWORD)
  const secret = await apiClients.create('gateway')
  let cast: Cast = {}
  let count = 0

  async function signedIn (username: string, roles: string[]) {
    const id = randomBytes(16).toString('base64url')
    await db.users.add({ id, ...toColumns({ username, email: `${username}@example.com` }), passwordHash, roles, createdAt: Date.now() })
    const { access_token: access, refresh_token: refresh } = (await server.inject({ method: 'POST', url: '/auth/login', payload: { username, password: PASSWORD } })).json()
    return { id, access, refresh }
  }

  async function create (): Promise<Cast> {
    await db.users.removeAll()
    const username = `user${++count}`
    const user = await signedIn(username, [])
    const admin = await signedIn(`admin${count}`, ['admin'])
    const { sid } = await accessTokens.verify(user.access)
    const session = (await db.sessions.findById(sid))! // they have just signed in
    const revoked = accessTokens.issue(session)
    await accessTokens.revoke(await accessTokens.verify(revoked), 'service')
    const [head, body] = user.access.split('.')
    return {
      username,
      email: `${username}@example.com`,
      password: PASSWORD,
      userId: user.id,
      adminId: admin.id,
      sessionId: sid,
      list: session.statusEntries[0]!.list,
      access: user.access,
      refresh: user.refresh,
      admin: admin.access,
      client: basic('gateway', secret!).authorization.slice('Basic '.length),
      revoked,
      expired: accessTokens.issue({ ...session, accessExpiresAt: 1000 }),
      forged: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
      tampered: `${head}.${body}.${'A'.repeat(86)}`,
      stale: refreshTokens.make(sid, 4_000_000_000)
    }
  }

  async function isAlive (): Promise<boolean> {
    return await accessTokens.read(cast.access ?? '') !== undefined && await accessTokens.read(cast.admin ?? '') !== undefined
  }

  return {
    /** As it is now. */
    async current (): Promise<Cast> {
      if (!await isAlive()) cast = await create()
      return { ...cast, new: `new${++count}` }
    }
  }
}

/** A text with everybody's own in place of what stands in braces. */
export function filledIn (text: string, cast: Cast): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => cast[name] ?? whole)
}
