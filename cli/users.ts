import { Ajv } from 'ajv'
import { Type } from 'typebox'
import { Registration } from '../routes/auth/schemas.ts'
import { Role } from '../routes/schemas.ts'
import { askForPassword } from './password.ts'
import { onService, onUser, print, refuse } from './tools.ts'
import type { ErrorObject } from 'ajv'
import type { Command } from 'commander'
import type { Static } from 'typebox'
import type { User } from '../plugins/core/database.ts'

const PAGE = 200

const NewAccount = Type.Object({ ...Registration.properties, role: Type.Array(Role, { uniqueItems: true }) })

export function addUsers (cli: Command) {
  const users = cli.command('users').description('accounts')

  users.command('create')
    .description('Make an account. The password is asked for, or read from standard input.')
    .option('--username <username>')
    .option('--email <address>')
    .option('--name <name>', 'a display name')
    .option('--role <role...>', '"admin", or a role of your own services', [])
    .action(async ({ role: roles, ...names }: Omit<Static<typeof NewAccount>, 'password'>) => {
      if (names.username === undefined && names.email === undefined) refuse('Give --username, --email or both.')
      const registration = { ...names, password: await askForPassword() }
      assertFit({ ...registration, role: roles })
      await onService(async ({ accounts }) => print(toLine(await accounts.create(registration, roles))))
    })

  users.command('list')
    .description('List all accounts, the oldest first.')
    .action(() => onService(async ({ accounts }) => {
      let after: User | undefined
      do {
        const page = await accounts.list({ limit: PAGE, after })
        for (const user of page) print(toLine(user))
        after = page.length === PAGE ? page.at(-1) : undefined
      } while (after)
    }))

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

  users.command('delete-all')
    .description('Delete every account, administrators too.')
    .requiredOption('--yes', 'confirm it')
    .action(() => onService(async ({ accounts }) => {
      print(`accounts deleted: ${await accounts.removeAll('cli')}`)
    }))
}

function assertFit (account: object) {
  const ajv = new Ajv({ formats: { password: true } })
  if (ajv.validate(NewAccount, account)) return
  const [{ instancePath, keyword, message }] = ajv.errors as [ErrorObject] // it stops at the first
  const fault = keyword === 'pattern' ? 'has characters that are not allowed in one' : message?.replace('NOT', 'not')
  refuse(`The ${instancePath.split('/')[1]} ${fault}.`)
}

function toLine ({ id, username, email, roles, disabled, createdAt }: User): string {
  return [
    id,
    username ?? '-',
    email ?? '-',
    roles.join(',') || '-',
    disabled ? 'disabled' : 'active',
    new Date(createdAt).toISOString()
  ].join('\t')
}
