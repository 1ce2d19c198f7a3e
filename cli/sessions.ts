import { onUser } from './tools.ts'
import type { Command } from 'commander'
import type { Session } from '../plugins/core/database.ts'

export function addSessions (cli: Command) {
  const sessions = cli.command('sessions').description('the sessions of an account')

  onUser(sessions.command('list').description('List the live sessions of an account.'), async ({ sessions }, { id }) => {
    const live = await sessions.list(id)
    return live.map(toLine).join('\n')
  })

  onUser(sessions.command('end').description('End every session of an account.'), async ({ sessions }, { id }) => {
    return `sessions ended: ${await sessions.endAll(id, 'cli')}`
  })
}

function toLine ({ id, lastUsedAt, ip, userAgent }: Session): string {
  return [id, new Date(lastUsedAt).toISOString(), ip, toPrintable(userAgent || '-')].join('\t')
}

/** Without control characters, which a terminal would obey: the text is somebody else's. */
function toPrintable (text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}
