import { NoContent, PasswordChange } from './schemas.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const password: FastifyPluginAsyncTypebox = async (fastify) => {
  const { accounts, audit, authenticate, db, limits, now, passwords, problem } = fastify

  fastify.post('/password', {
    schema: {
      summary: 'Change one\'s password: all other sessions are over',
      tags: ['account'],
      body: PasswordChange,
      response: { 204: NoContent }
    },
    config: { refusals: ['wrong_password', 'weak_password', 'busy'] },
    onRequest: authenticate,
    preHandler: limits.address
  }, async (request, reply) => {
    const { current_password: current, new_password: next } = request.body
    const user = await accounts.reauthenticate(current, request)
    await passwords.assertStrong(next, [user.username, user.email, user.name])

    const hasChanged = await db.users.changePassword(user, await passwords.hash(next), request.user.sid, now(), audit.note(request, (hasChanged) => hasChanged
      ? { event: 'password_changed', subject: user.id, session: request.user.sid }
      : { event: 'password_refused', outcome: 'wrong_password', subject: user.id }))
    if (!hasChanged) throw problem('wrong_password')
    reply.code(204)
  })
}

export default password
