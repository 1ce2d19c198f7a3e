import { Type } from 'typebox'
import { Registration } from '../routes/auth/schemas.ts'
import { Role } from '../routes/schemas.ts'
import { assertFit } from './fit.ts'
import { createTable, print, refuse, toTime } from './output.ts'
import { askForPassword } from './password.ts'
import { onNewService, onService } from './service.ts'
import { onUser } from './tools.ts'
import { addUserChanges } from './user-changes.ts'
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
      assertFit(NewAccount, { ...registration, role: roles })
      await onNewService(async ({ accounts }) => {
        createUserTable()([await accounts.create(registration, roles)])
        print('made')
      })
    })

  users.command('list')
    .description('List all accounts, the oldest first.')
    .action(() => onService(async ({ accounts }) => {
      const add = createUserTable()
      let after: User | undefined
      do {
        const page = await accounts.list({ limit: PAGE, after })
        add(page)
        after = page.length === PAGE ? page.at(-1) : undefined
      } while (after)
    }))

  onUser(users.command('show').description('Show an account.'), async (_service, user) => {
    createUserTable()([user])
    return ''
  })

  addUserChanges(users)

  users.command('delete-all')
    .description('Delete every account, administrators too.')
    .requiredOption('--yes', 'confirm it')
    .action(() => onService(async ({ accounts }) => {
      print(`accounts deleted: ${await accounts.removeAll('cli')}`)
    }))
}

function createUserTable () {
  const add = createTable(['id', 'username', 'e-mail', 'roles', 'state', 'made', 'name'])
  return (users: User[]) => add(users.map(({ id, username, email, roles, disabled, createdAt, name }) => {
    return [id, username, email, roles.join(','), disabled ? 'disabled' : 'active', toTime(createdAt), name]
  }))
}
