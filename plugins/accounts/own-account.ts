import fp from 'fastify-plugin'
import { toColumns } from './canonical-names.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { User } from '../core/database.ts'
import type { Names } from './canonical-names.ts'

declare module 'fastify' {
  interface FastifyInstance { ownAccount: OwnAccount }
}

/** Operations of people on their own account, by an authenticated request. */
export interface OwnAccount {
  /** @throws `token_revoked` when the account is gone */
  get: (request: FastifyRequest) => Promise<User>
  /** @throws `username_taken`, `email_taken` or `token_revoked` */
  rename: (names: Names, request: FastifyRequest) => Promise<User>
  /**
   * Sets a new password, and ends every other session.
   * @throws `wrong_password`, `weak_password`, `token_revoked`, `rate_limited` or `busy`
   */
  changePassword: (currentPassword: string, newPassword: string, request: FastifyRequest) => Promise<void>
  /**
   * Deletes the account and ends its sessions.
   * @throws `wrong_password`, `last_admin`, `token_revoked`, `rate_limited` or `busy`
   */
  remove: (password: string, request: FastifyRequest) => Promise<void>
}

const ownAccount: FastifyPluginAsync = async (fastify) => {
  const { audit, credentials, db, now, passwords, problem } = fastify

  async function get ({ user: { sub } }: FastifyRequest): Promise<User> {
    const user = await db.users.findById(sub)
    if (!user) throw problem('token_revoked')
    return user
  }

  async function rename (names: Names, request: FastifyRequest): Promise<User> {
    const { sub } = request.user
    const user = await db.users.update(sub, toColumns(names), audit.entry(request, (update) => update && {
      event: 'account_changed',
      subject: sub,
      details: { fields: Object.keys(names), endsSessions: update.endsSessions }
    }))
    if (!user) throw problem('token_revoked')
    return user
  }

  async function changePassword (currentPassword: string, newPassword: string, request: FastifyRequest) {
    const user = await credentials.confirm(currentPassword, request)
    await passwords.assertStrong(newPassword, [user.username, user.email, user.name])
    const { sid } = request.user
    const passwordHash = await passwords.hash(newPassword)
    const hasChanged = await db.users.changePassword(user, passwordHash, sid, now(), audit.entry(request, (hasChanged) => hasChanged
      ? { event: 'password_changed', subject: user.id, session: sid }
      : { event: 'password_refused', outcome: 'wrong_password', subject: user.id }))
    if (!hasChanged) throw problem('wrong_password') // somebody else changed it meanwhile
  }

  async function remove (password: string, request: FastifyRequest) {
    const user = await credentials.confirm(password, request)
    const entry = audit.entry<boolean>(request, { event: 'account_deleted', subject: user.id })
    const isDeleted = await db.users.remove(user.id, entry, user.passwordHash)
    if (!isDeleted) throw problem('wrong_password') // it was changed meanwhile
  }

  fastify.decorate('ownAccount', { get, rename, changePassword, remove })
}

export default fp(ownAccount, { name: 'own-account', dependencies: ['audit', 'clock', 'credentials', 'database', 'passwords', 'problems'] })
