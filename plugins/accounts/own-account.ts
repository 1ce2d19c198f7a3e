import fp from 'fastify-plugin'
import { toColumns } from './canonical-names.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { User } from '../core/database.ts'
import type { Names } from './canonical-names.ts'
import type { Tokens } from './sessions.ts'

const PASSWORD_NEEDED = 'A name that you sign in with changes only with your password: send it as "password".'

declare module 'fastify' {
  interface FastifyInstance { ownAccount: OwnAccount }
}

/** Operations of people on their own account, by an authenticated request. */
export interface OwnAccount {
  /** @throws `token_revoked` when the account is gone */
  get: (request: FastifyRequest) => Promise<User>
  /**
   * Changes names. A name to sign in with needs the password, and is not one that somebody else gave up lately.
   * @throws `wrong_password`, `username_taken`, `email_taken`, `token_revoked`, `rate_limited` or `busy`
   */
  rename: (change: Names & { password?: string }, request: FastifyRequest) => Promise<User>
  /**
   * Sets a new password, ends every session, and starts a new one.
   * @throws `wrong_password`, `weak_password`, `token_revoked`, `rate_limited` or `busy`
   */
  changePassword: (currentPassword: string, newPassword: string, request: FastifyRequest) => Promise<Tokens>
  /**
   * Deletes the account and ends its sessions.
   * @throws `wrong_password`, `last_admin`, `token_revoked`, `rate_limited` or `busy`
   */
  remove: (password: string, request: FastifyRequest) => Promise<void>
}

const ownAccount: FastifyPluginAsync = async (fastify) => {
  const { accounts, audit, credentials, db, nameHold, passwords, problem, sessions } = fastify

  async function get ({ user: { sub } }: FastifyRequest): Promise<User> {
    const user = await db.users.findById(sub)
    if (!user) throw problem('token_revoked')
    return user
  }

  async function rename ({ password, ...names }: Names & { password?: string }, request: FastifyRequest): Promise<User> {
    const { sub } = request.user
    const columns = toColumns(names)
    if (changesLogin(await get(request), columns)) {
      if (password === undefined) throw problem('wrong_password', { detail: PASSWORD_NEEDED })
      await credentials.confirm(password, request)
      await accounts.assertNotTaken(names, sub)
    }
    return db.users.rename(sub, columns, nameHold(), audit.entry(request, {
      event: 'account_changed',
      subject: sub,
      details: { fields: Object.keys(names), endsSessions: false }
    }))
  }

  async function changePassword (currentPassword: string, newPassword: string, request: FastifyRequest) {
    const user = await credentials.confirm(currentPassword, request)
    await passwords.assertStrong(newPassword, [user.username, user.email, user.name])
    const passwordHash = await passwords.hash(newPassword, request.ip)
    const next = sessions.begin(user, request)
    const session = await db.users.changePassword(next, passwordHash, audit.entry(request, {
      event: 'password_changed',
      subject: user.id,
      session: next.id
    }))
    return sessions.tokens(session)
  }

  async function remove (password: string, request: FastifyRequest) {
    const user = await credentials.confirm(password, request)
    await db.users.remove(user.id, nameHold(), audit.entry(request, { event: 'account_deleted', subject: user.id }))
  }

  fastify.decorate('ownAccount', { get, rename, changePassword, remove })
}

function changesLogin (user: User, { usernameKey, email }: ReturnType<typeof toColumns>): boolean {
  return (usernameKey ?? user.usernameKey) !== user.usernameKey || (email ?? user.email) !== user.email
}

export default fp(ownAccount, {
  name: 'own-account',
  dependencies: ['accounts', 'audit', 'credentials', 'database', 'name-hold', 'passwords', 'problems', 'sessions']
})
