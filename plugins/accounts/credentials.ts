import { createHmac } from 'node:crypto'
import fp from 'fastify-plugin'
import { loginKey } from './canonical-names.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { User } from '../core/database.ts'

type RefusalCode = 'invalid_credentials' | 'account_disabled' | 'wrong_password'

declare module 'fastify' {
  interface FastifyInstance { credentials: Credentials }
}

export interface Credentials {
  /**
   * The account with this name and this password. Takes as long, and says the same, when there is no such account.
   * Hashes the password anew when the parameters have changed.
   * @throws `invalid_credentials`, `account_disabled`, `rate_limited` or `busy`
   */
  verify: (login: string, password: string, request: FastifyRequest) => Promise<User>
  /**
   * The account of an authenticated request, if this is its password.
   * @throws `wrong_password`, `token_revoked`, `rate_limited` or `busy`
   */
  confirm: (password: string, request: FastifyRequest) => Promise<User>
}

/** Checks passwords: count the attempt, verify, take the attempt back if it was right. */
const credentials: FastifyPluginAsync = async (fastify) => {
  const { accounts, audit, db, log, masterKey, passwords, problem, signInLimits } = fastify
  const decoyKey = masterKey.derive('examples')

  /**
   * Decoy for an unknown name: a real account's hash, chosen by a keyed hash of the name, so that unknown names cost
   * exactly what known ones do.
   */
  function decoyFor (login: string): Promise<string | undefined> {
    return db.users.hashNextTo(createHmac('sha256', decoyKey).update(`name ${loginKey(login)}`).digest('base64url'))
  }

  /** `account` is what was named: attempts counted by account would link the two names of one. */
  async function attempt (account: string, user: User | undefined, request: FastifyRequest, verifyPassword: () => Promise<boolean>) {
    passwords.assertRoom(request.ip) // a flood beyond it writes nothing
    const admitted = await signInLimits.admit(account, user?.id, request)
    let isRight
    try {
      isRight = await verifyPassword()
    } catch (error) {
      signInLimits.forgive(admitted) // nobody looked at the password
      throw error
    }
    if (user && isRight) signInLimits.remember(user.id, request, admitted)
    return isRight
  }

  /** Refusals are recorded alike for known and unknown names. The name itself is not kept: people type passwords there. */
  async function refuse (code: RefusalCode, user: User | undefined, request: FastifyRequest): Promise<Error> {
    const event = code === 'wrong_password' ? 'password_refused' : 'sign_in_refused'
    await audit.record(request, { event, outcome: code, subject: user?.id })
    return problem(code)
  }

  async function rehash (user: User, password: string, client: string) {
    try {
      await db.users.rehash(user, await passwords.hash(password, client))
    } catch (err) {
      log.warn({ err, user: user.id }, 'a password could not be hashed anew: the next sign-in tries again')
    }
  }

  async function verify (login: string, password: string, request: FastifyRequest): Promise<User> {
    const user = await accounts.findByLogin(login)
    const options = { decoy: await decoyFor(login), client: request.ip }
    const isRight = await attempt(`name ${loginKey(login)}`, user, request, () => passwords.verify(user?.passwordHash, password, options))
    if (!user || !isRight) throw await refuse('invalid_credentials', user, request)
    if (user.disabled) throw await refuse('account_disabled', user, request)
    if (passwords.isOutdated(user.passwordHash)) await rehash(user, password, request.ip)
    return user
  }

  async function confirm (password: string, request: FastifyRequest): Promise<User> {
    const user = await db.users.findById(request.user.sub)
    if (!user) throw problem('token_revoked')
    const account = `id ${user.id}` // strangers, who try names, cannot close it
    const isRight = await attempt(account, user, request, () => passwords.verify(user.passwordHash, password, { client: request.ip }))
    if (!isRight) throw await refuse('wrong_password', user, request)
    return user
  }

  fastify.decorate('credentials', { verify, confirm })
}

export default fp(credentials, {
  name: 'credentials',
  dependencies: ['accounts', 'audit', 'database', 'master-key', 'passwords', 'problems', 'sign-in-limits']
})
