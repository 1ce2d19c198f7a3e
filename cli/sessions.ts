import { onUser } from './service.ts'
import type { Command } from 'commander'

export function addSessions (cli: Command) {
  const sessions = cli.command('sessions').description('who is signed in')

  onUser(sessions.command('list').description('the live sessions of an account'), async ({ db, now }, { id }) => {
    const live = await db.sessions.list(id, now())
    return live.map(({ id, lastUsedAt, ip, userAgent }) => [id, new Date(lastUsedAt).toISOString(), ip, visible(userAgent || '-')].join('\t')).join('\n')
  })

  onUser(sessions.command('end').description('end every session of an account'), async ({ audit, db }, { id }) => {
    const ended = await db.sessions.endAll(id, audit.note('cli', (ended) => ({ event: 'logged_out', subject: id, details: { sessions: ended.length } })))
    return `sessions ended: ${ended.length}`
  })
}

/** Without what a terminal would obey: the text is somebody else's. */
function visible (text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}
