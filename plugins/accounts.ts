import { randomBytes } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Session, User } from './db.ts'

const ID_BYTES = 16

declare module 'fastify' {
  interface FastifyInstance { accounts: Accounts }
}

export interface Registration {
  username?: string
  email?: string
  name?: string
  password: string
}

export interface Accounts {
  /**
   * Makes an account together with its first session: both or neither.
   * @throws `weak_password`, `username_taken`, `email_taken` or `busy`
   */
  register: (registration: Registration, request: FastifyRequest) => Promise<{ user: User, session: Session }>
  /**
   * Makes an account that nobody has signed in to.
   * @throws as `register` does
   */
  create: (registration: Registration, roles: string[]) => Promise<User>
  /**
   * The account with this name, if this is its password. Takes as long, and says the same, when there is none.
   * The password is hashed anew when the parameters have changed.
   * @throws `invalid_credentials`, `rate_limited` or `busy`
   */
  identify: (login: string, password: string, request: FastifyRequest) => Promise<User>
  /**
   * The account of an authenticated request, if this is its password.
   * @throws `wrong_password`, `token_revoked`, `rate_limited` or `busy`
   */
  reauthenticate: (password: string, request: FastifyRequest) => Promise<User>
}

/** What routes and the command line both do with accounts. */
const accounts: FastifyPluginAsync = async (fastify) => {
  const { db, limits, log, now, passwords, problem, sessions } = fastify

  async function prepare ({ password, ...names }: Registration, roles: string[]) {
    await passwords.assertStrong(password, Object.values(names))
    return {
      ...names,
      id: newId(),
      passwordHash: await passwords.hash(password),
      roles,
      createdAt: now()
    }
  }

  async function rehash (user: User, password: string) {
    try {
      await db.users.rehash(user, await passwords.hash(password))
    } catch (err) {
      log.warn({ err, user: user.id }, 'a password could not be hashed anew: the next login tries again')
    }
  }

  /** One hash whether or not there is a user. */
  async function isPasswordOf (user: User | undefined, password: string, account: string, request: FastifyRequest): Promise<boolean> {
    await limits.account(account, request)
    const isRight = await passwords.verify(user?.passwordHash, password)
    if (!isRight) await limits.failed(request)
    return isRight
  }

  fastify.decorate('accounts', {
    async register (registration, request) {
      const prepared = await prepare(registration, [])
      return db.users.addSignedIn(prepared, sessions.begin(prepared.id, request))
    },

    async create (registration, roles) {
      return db.users.add(await prepare(registration, roles))
    },

    async identify (login, password, request) {
      const user = await db.users.find(login)
      const isRight = await isPasswordOf(user, password, user?.id ?? db.users.keyOf(login), request)
      if (!user || !isRight) throw problem('invalid_credentials')
      if (passwords.isOutdated(user.passwordHash)) await rehash(user, password)
      return user
    },

    async reauthenticate (password, request) {
      const user = await db.users.findById(request.user.sub)
      if (!user) throw problem('token_revoked')
      if (await isPasswordOf(user, password, user.id, request)) return user
      throw problem('wrong_password')
    }
  })
}

/** Random; and never with a dash in front, which a command line would take for an option. */
function newId (): string {
  return randomBytes(ID_BYTES).toString('base64url').replace(/^-/, 'a')
}

export default fp(accounts, { name: 'accounts', dependencies: ['clock', 'db', 'limits', 'passwords', 'problem', 'sessions'] })
