import { randomBytes } from 'node:crypto'
import { Type } from 'typebox'
import { Registration } from '../routes/auth/schemas.ts'
import { Role } from '../routes/schemas.ts'
import { assertFit } from './fit.ts'
import { print, refuse } from './output.ts'
import { askForPassword } from './password.ts'
import { onAccount, onUser } from './tools.ts'
import type { Command } from 'commander'

const GENERATED_BYTES = 15

const NewPassword = Type.Object({ password: Registration.properties.password })
const Roles = Type.Object({ role: Type.Array(Role, { uniqueItems: true }) })

/** The commands that change one account. */
export function addUserChanges (users: Command) {
  addPassword(users)
  addRoles(users)

  const disable = users.command('disable').description('Disable an account: end its sessions, and let nobody sign in to it.')
  onUser(disable, async ({ accounts }, { id }) => {
    await accounts.change(id, { disabled: true }, 'cli')
    return 'disabled'
  })

  const enable = users.command('enable').description('Enable an account again.')
  onUser(enable, async ({ accounts }, { id }) => {
    await accounts.change(id, { disabled: false }, 'cli')
    return 'enabled'
  })

  const remove = users.command('delete').description('Delete an account and end its sessions.')
  onUser(remove, async ({ accounts }, { id }) => {
    await accounts.remove(id, 'cli')
    return 'deleted'
  })
}

function addPassword (users: Command) {
  users.command('password')
    .description('Set a new password, which is asked for or read from standard input, and end the sessions of the account.')
    .argument('[user]', 'id, username or e-mail address')
    .option('--user <user>', 'the same')
    .option('--generate', 'make a password and print it')
    .action((argument: string | undefined, { user = argument, generate: isGenerated }: { user?: string, generate?: boolean }) => {
      return onAccount(user, async ({ operator }, account) => {
        const password = isGenerated ? randomBytes(GENERATED_BYTES).toString('base64url') : await askForPassword()
        assertFit(NewPassword, { password })
        await operator.setPassword(account, password, 'cli')
        if (isGenerated) print(`password\t${password}`)
        return isGenerated ? 'changed; its owner should sign in and change it again' : 'changed'
      })
    })
}

function addRoles (users: Command) {
  users.command('roles')
    .description('Set the roles of an account, in place of those that it has, and end its sessions.')
    .argument('[user]', 'id, username or e-mail address')
    .argument('[role...]', '"admin", or roles of your own services')
    .option('--user <user>', 'the same as the first argument')
    .option('--none', 'no role at all')
    .action((first: string | undefined, others: string[], { user, none }: { user?: string, none?: boolean }) => {
      const words = first === undefined ? [] : [first, ...others]
      const [name, ...roles] = user === undefined ? words : [user, ...words]
      if (name !== undefined && (roles.length === 0) !== Boolean(none)) refuse('Name the roles that the account should have, or --none.')
      assertFit(Roles, { role: roles })
      return onAccount(name, async ({ accounts }, { id }) => {
        const account = await accounts.change(id, { roles }, 'cli')
        return `roles\t${account.roles.join(',') || '-'}`
      })
    })
}
