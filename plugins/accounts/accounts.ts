import { randomBytes } from 'node:crypto'
import fp from 'fastify-plugin'
import { toColumns } from './canonical-names.ts'
import { accountFinder } from './find-accounts.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Actor } from '../core/audit.ts'
import type { Session, User } from '../core/database.ts'
import type { Names } from './canonical-names.ts'

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

/** The members that an administrator may change. */
export type AccountChange = Names & Partial<Pick<User, 'roles' | 'disabled'>>

export interface Accounts {
  /**
   * Looks whether names belong to another account: before a hash, which costs much more, and in the spelling of earlier
   * versions. The constraint decides.
   * @throws `username_taken` or `email_taken`
   */
  assertNotTaken: (names: Names, id?: string) => Promise<void>
  /**
   * Makes an account together with its first session: both or neither.
   * @throws `registration_closed`, `weak_password`, `username_taken`, `email_taken` or `busy`
   */
  register: (registration: Registration, request: FastifyRequest) => Promise<{ user: User, session: Session }>
  /**
   * Makes an account that nobody has signed in to, for the command line. It may have a name that is kept for somebody.
   * @throws `weak_password`, `username_taken`, `email_taken` or `busy`
   */
  create: (registration: Registration, roles: string[]) => Promise<User>
  /** @throws `not_found` */
  get: (id: string) => Promise<User>
  /** The account with this username or e-mail address. */
  findByLogin: (login: string) => Promise<User | undefined>
  /** The account with this id. */
  findById: (id: string) => Promise<User | undefined>
  /** Accounts in the order in which they were made; `prefix` is the beginning of a username or an e-mail address. */
  list: (page: { limit: number, after?: Pick<User, 'createdAt' | 'id'>, prefix?: string }) => Promise<User[]>
  /**
   * Changes an account. When its roles or `disabled` change, its sessions end. A name may be one that is kept for somebody.
   * @throws `not_found`, `username_taken`, `email_taken` or `last_admin`
   */
  change: (id: string, change: AccountChange, actor: Actor) => Promise<User>
  /**
   * Deletes an account and ends its sessions.
   * @throws `not_found` or `last_admin`
   */
  remove: (id: string, actor: Actor) => Promise<void>
  /** Deletes every account, the last administrator too, and gives their number. */
  removeAll: (actor: Actor) => Promise<number>
}

const accounts: FastifyPluginAsync = async (fastify) => {
  const { assertNotTaken, findByLogin, list } = accountFinder(fastify)
  const { audit, config: { registrationIsOpen }, db, nameHold, now, passwords, problem, sessions, signInLimits } = fastify

  async function toNewUser ({ password, ...names }: Registration, roles: string[], client?: string) {
    await passwords.assertStrong(password, Object.values(names))
    await assertNotTaken(names)
    return {
      ...toColumns(names),
      id: createId(),
      passwordHash: await passwords.hash(password, client),
      roles,
      createdAt: now()
    }
  }

  async function register (registration: Registration, request: FastifyRequest) {
    if (!registrationIsOpen) throw problem('registration_closed')
    const user = await toNewUser(registration, [], request.ip)
    const session = sessions.begin(user, request)
    const record = { event: 'registered', subject: user.id, session: session.id, isBySubject: true } as const
    const registered = await db.users.addSignedIn(user, session, nameHold(), audit.entry(request, record))
    signInLimits.remember(user.id, request)
    return registered
  }

  async function create (registration: Registration, roles: string[]) {
    const user = await toNewUser(registration, roles)
    return db.users.add(user, audit.entry('cli', { event: 'account_created', subject: user.id, details: { roles } }))
  }

  async function get (id: string) {
    const user = await db.users.findById(id)
    if (!user) throw problem('not_found')
    return user
  }

  async function change (id: string, changes: AccountChange, actor: Actor) {
    const { roles, disabled, ...names } = changes
    const user = await db.users.update(id, { ...toColumns(names), roles, disabled }, nameHold(), audit.entry(actor, (update) => update && {
      event: 'account_changed',
      subject: id,
      details: { fields: Object.keys(changes), roles, disabled, endsSessions: update.endsSessions }
    }))
    if (!user) throw problem('not_found')
    return user
  }

  async function remove (id: string, actor: Actor) {
    const isDeleted = await db.users.remove(id, nameHold(), audit.entry(actor, { event: 'account_deleted', subject: id }))
    if (!isDeleted) throw problem('not_found')
  }

  fastify.decorate('accounts', {
    assertNotTaken,
    register,
    create,
    get,
    findByLogin,
    findById: db.users.findById,
    list,
    change,
    remove,
    removeAll: (actor) => db.users.removeAll(audit.entry(actor, (accounts) => ({ event: 'all_accounts_deleted', details: { accounts } })))
  })
}

/** Random; and never with a dash in front, which a command line would take for an option. */
function createId (): string {
  return randomBytes(ID_BYTES).toString('base64url').replace(/^-/, 'a')
}

export default fp(accounts, {
  name: 'accounts',
  dependencies: ['audit', 'clock', 'config', 'database', 'name-hold', 'passwords', 'problems', 'sessions', 'sign-in-limits']
})
