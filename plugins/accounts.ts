import { createHmac, randomBytes } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { By } from './audit.ts'
import type { Session, User, UserChange } from './db.ts'

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
   * Makes an account that nobody has signed in to, for the command line.
   * @throws as `register` does
   */
  create: (registration: Registration, roles: string[]) => Promise<User>
  /**
   * Changes an account; when its roles or whether it is disabled change, its sessions end. Gives undefined for an unknown id.
   * @throws `username_taken`, `email_taken` or `last_admin`
   */
  change: (id: string, change: UserChange, by: By) => Promise<User | undefined>
  /**
   * Ends an account's sessions and deletes it, if need be only while it has this password hash; gives whether it did.
   * @throws `last_admin`
   */
  remove: (id: string, by: By, passwordHash?: string) => Promise<boolean>
  /**
   * The account with this name, if this is its password. Takes as long, and says the same, when there is none.
   * The password is hashed anew when the parameters have changed.
   * @throws `invalid_credentials`, `account_disabled`, `rate_limited` or `busy`
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
  const { audit, db, guesses, log, masterKey, now, passwords, problem, sessions } = fastify
  const secret = masterKey.derive('examples')

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

  /** What guesses are counted by: the name that was typed. By the account, a second name of it would betray itself. */
  function named (login: string): string {
    return `name ${db.users.keyOf(login)}`
  }

  /** What is verified where there is no account: the hash of one, so that there are as many of each cost. Each name has its own. */
  async function exampleFor (account: string): Promise<string | undefined> {
    return db.users.hashNextTo(createHmac('sha256', secret).update(account).digest('base64url'))
  }

  /** Told before it is answered, alike for known and unknown names. What was typed as one is not kept: it may be a password. */
  async function refusal (code: 'invalid_credentials' | 'account_disabled' | 'wrong_password', event: 'sign_in_refused' | 'password_refused', user: User | undefined, request: FastifyRequest) {
    await db.audit.add(audit.note(request, { event, outcome: code, subject: user?.id }))
    return problem(code)
  }

  fastify.decorate('accounts', {
    async register (registration, request) {
      const prepared = await prepare(registration, [])
      const session = sessions.begin(prepared, request)
      const registered = await db.users.addSignedIn(prepared, session, audit.note(request, { event: 'registered', subject: prepared.id, session: session.id, isBySubject: true }))
      for (const login of [registration.username, registration.email]) if (login !== undefined) guesses.remember(named(login), request)
      return registered
    },

    async create (registration, roles) {
      const prepared = await prepare(registration, roles)
      return db.users.add(prepared, audit.note('cli', { event: 'account_created', subject: prepared.id, details: { roles } }))
    },

    change: (id, change, by) => db.users.update(id, change, audit.note(by, (update) => update && {
      event: 'account_changed',
      subject: id,
      details: { fields: Object.keys(change), roles: change.roles, disabled: change.disabled, endsSessions: update.endsSessions }
    })),

    remove: (id, by, passwordHash) => db.users.remove(id, audit.note(by, { event: 'account_deleted', subject: id }), passwordHash),

    async identify (login, password, request) {
      const account = named(login)
      const user = await db.users.find(login)
      const example = await exampleFor(account)
      const isRight = await guesses.check(account, request, () => passwords.verify(user?.passwordHash, password, example))
      if (!user || !isRight) throw await refusal('invalid_credentials', 'sign_in_refused', user, request)
      if (user.disabled) throw await refusal('account_disabled', 'sign_in_refused', user, request)
      if (passwords.isOutdated(user.passwordHash)) await rehash(user, password)
      return user
    },

    async reauthenticate (password, request) {
      const user = await db.users.findById(request.user.sub)
      if (!user) throw problem('token_revoked')
      const account = `id ${user.id}` // strangers, who try names, cannot close it
      if (await guesses.check(account, request, () => passwords.verify(user.passwordHash, password))) return user
      throw await refusal('wrong_password', 'password_refused', user, request)
    }
  })
}

/** Random; and never with a dash in front, which a command line would take for an option. */
function newId (): string {
  return randomBytes(ID_BYTES).toString('base64url').replace(/^-/, 'a')
}

export default fp(accounts, { name: 'accounts', dependencies: ['audit', 'clock', 'db', 'guesses', 'master-key', 'passwords', 'problem', 'sessions'] })
