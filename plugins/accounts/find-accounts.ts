import { emailKey, isEmail, plainEmailKey, usernameKey } from './canonical-names.ts'
import type { FastifyInstance } from 'fastify'
import type { User, UsersPage } from '../core/database.ts'
import type { Names } from './canonical-names.ts'

/** Builds the functions of `accounts` that look accounts up by their names. */
export function accountFinder ({ db, problem }: Pick<FastifyInstance, 'db' | 'problem'>) {
  async function findByLogin (login: string) {
    if (!isEmail(login)) return db.users.findByUsername(usernameKey(login))
    const [older, current] = await Promise.all([db.users.findByEmail(plainEmailKey(login)), db.users.findByEmail(emailKey(login))])
    return older ?? current
  }

  function list ({ limit, after, prefix }: Pick<UsersPage, 'limit' | 'after'> & { prefix?: string }) {
    const keys = prefix === undefined ? undefined : { usernameKey: usernameKey(prefix), email: emailKey(prefix) }
    return db.users.list({ limit, after, prefix: keys })
  }

  async function assertNotTaken ({ username, email }: Names, id?: string) {
    const isAnothers = (user: User | undefined) => user !== undefined && user.id !== id
    if (username !== undefined && isAnothers(await findByLogin(username))) throw problem('username_taken')
    if (email !== undefined && isAnothers(await findByLogin(email))) throw problem('email_taken')
  }

  return { findByLogin, list, assertNotTaken }
}
