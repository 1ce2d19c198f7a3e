import { Ajv } from 'ajv'
import { Type } from 'typebox'
import { Registration } from '../routes/auth/schemas.ts'
import { Role } from '../routes/schemas.ts'
import { askForPassword } from './password.ts'
import { onService, onUser, refuse } from './service.ts'
import type { ErrorObject } from 'ajv'
import type { Command } from 'commander'
import type { Static } from 'typebox'
import type { User } from '../plugins/db.ts'

const PAGE = 200

const NewAccount = Type.Object({ ...Registration.properties, role: Type.Array(Role, { uniqueItems: true }) })

export function addUsers (cli: Command) {
  const users = cli.command('users').description('accounts')

  users.command('create')
    .description('make an account; the password is asked for, or read from standard input')
    .option('--username <username>')
    .option('--email <address>')
    .option('--name <name>', 'a name to show')
    .option('--role <role...>', '"admin", or a role of your own services', [])
    .action(async ({ role: roles, ...names }: Omit<Static<typeof NewAccount>, 'password'>) => {
      if (names.username === undefined && names.email === undefined) refuse('Say who: give --username, --email or both.')
      const registration = { ...names, password: await askForPassword() }
      assertFit({ ...registration, role: roles })
      await onService(async ({ accounts }) => console.log(toLine(await accounts.create(registration, roles))))
    })

  users.command('list')
    .description('every account, in the order in which they were made')
    .action(() => onService(async ({ db }) => {
      let after: User | undefined
      do {
        const page = await db.users.list({ limit: PAGE, after })
        for (const user of page) console.log(toLine(user))
        after = page.length === PAGE ? page.at(-1) : undefined
      } while (after)
    }))

  onUser(users.command('disable').description('end an account\'s sessions and let nobody sign in to it'), async ({ accounts }, { id }) => {
    await accounts.change(id, { disabled: true }, 'cli')
    return 'disabled'
  })

  onUser(users.command('enable').description('let the owner of an account sign in again'), async ({ accounts }, { id }) => {
    await accounts.change(id, { disabled: false }, 'cli')
    return 'enabled'
  })

  onUser(users.command('delete').description('end an account\'s sessions and delete it'), async ({ accounts }, { id }) => {
    await accounts.remove(id, 'cli')
    return 'deleted'
  })

  users.command('delete-all')
    .description('delete every account, administrators too')
    .requiredOption('--yes', 'say that you mean it')
    .action(() => onService(async ({ audit, db }) => {
      const deleted = await db.users.removeAll(audit.note('cli', (accounts) => ({ event: 'all_accounts_deleted', details: { accounts } })))
      console.log(`accounts deleted: ${deleted}`)
    }))
}

function assertFit (account: object) {
  const ajv = new Ajv({ meta: false, validateSchema: false, formats: { password: true } })
  if (ajv.validate(NewAccount, account)) return
  const [{ instancePath, keyword, message }] = ajv.errors as [ErrorObject] // it stops at the first
  refuse(`The ${instancePath.split('/')[1]} ${keyword === 'pattern' ? 'has characters that are not allowed in one' : message?.replace('NOT', 'not')}.`)
}

function toLine ({ id, username, email, roles, disabled, createdAt }: User): string {
  return [id, username ?? '-', email ?? '-', roles.join(',') || '-', disabled ? 'disabled' : 'active', new Date(createdAt).toISOString()].join('\t')
}
