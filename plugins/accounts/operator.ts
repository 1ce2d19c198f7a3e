import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'
import type { Actor } from '../core/audit.ts'
import type { User } from '../core/database.ts'

declare module 'fastify' {
  interface FastifyInstance { operator: Operator }
}

/** Operations that no route offers: they are the operator's, on the command line. */
export interface Operator {
  /**
   * Sets the password of an account whose owner has lost it, and ends its sessions.
   * @throws `weak_password`, `not_found` or `busy`
   */
  setPassword: (user: User, password: string, actor: Actor) => Promise<void>
  /** Ends the sessions of everybody that there are now, and gives their number. */
  endEverySession: (actor: Actor) => Promise<number>
}

const operator: FastifyPluginAsync = async (fastify) => {
  const { audit, db, now, passwords, problem } = fastify

  async function setPassword ({ id, username, email, name }: User, password: string, actor: Actor) {
    await passwords.assertStrong(password, [username, email, name])
    const passwordHash = await passwords.hash(password)
    const isSet = await db.users.setPassword(id, passwordHash, now(), audit.entry(actor, { event: 'password_changed', subject: id }))
    if (!isSet) throw problem('not_found') // it was deleted meanwhile
  }

  fastify.decorate('operator', {
    setPassword,
    endEverySession: (actor) => db.everySession.end(audit.entry(actor, ({ count }) => ({
      event: 'all_sessions_ended',
      details: { sessions: count }
    })))
  })
}

export default fp(operator, { name: 'operator', dependencies: ['audit', 'clock', 'database', 'passwords', 'problems'] })
