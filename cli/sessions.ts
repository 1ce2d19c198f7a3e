import { createTable, print, refuse, toTime } from './output.ts'
import { onService } from './service.ts'
import { onAccount, onUser } from './tools.ts'
import type { Command } from 'commander'

export function addSessions (cli: Command) {
  const sessions = cli.command('sessions').description('the sessions of accounts')

  onUser(sessions.command('list').description('List the live sessions of an account.'), async ({ sessions }, { id }) => {
    const live = await sessions.list(id)
    const rows = live.map(({ id, lastUsedAt, ip, userAgent }) => [id, toTime(lastUsedAt), ip, userAgent])
    createTable(['session', 'last used', 'ip', 'user agent'])(rows)
    return ''
  })

  sessions.command('end')
    .description('End every session of an account, or of all accounts.')
    .argument('[user]', 'id, username or e-mail address')
    .option('--user <user>', 'the same')
    .option('--all', 'end the sessions of everybody: all people must sign in again')
    .action((argument: string | undefined, { user = argument, all: isAll }: { user?: string, all?: boolean }) => {
      if (isAll && user !== undefined) refuse('Name an account or --all, not both.')
      if (isAll) return onService(async ({ operator }) => print(`sessions ended: ${await operator.endEverySession('cli')}`))
      return onAccount(user, async ({ sessions }, { id }) => `sessions ended: ${await sessions.endAll(id, 'cli')}`)
    })
}
