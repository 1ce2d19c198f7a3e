import { parse as parseMilliseconds } from '@lukeed/ms'
import { toAuditEvent } from '../routes/audit/schemas.ts'
import { findUser, onService, refuse } from './service.ts'
import type { Command } from 'commander'
import type { AuditEvent } from '../plugins/db.ts'

const PAGE = 200

interface ListOptions {
  user?: string
  event?: string
  since?: string
  limit: string
}

export function addAudit (cli: Command) {
  const audit = cli.command('audit').description('what happened, by whom, to whom')

  audit.command('list')
    .description('events, the newest first')
    .option('--user <user>', 'what happened to this account (id, username or e-mail address); without its refreshes, unless --event asks for them')
    .option('--event <event>', 'of this kind, such as sign_in_refused')
    .option('--since <time>', 'from this time on, such as 2026-11-21 or 24h')
    .option('--limit <count>', 'how many at the most', '50')
    .action(({ user, event, since, limit }: ListOptions) => onService(async (service) => {
      if (!/^[1-9]\d{0,6}$/.test(limit)) refuse(`The limit should be a number from 1, not "${limit}".`)
      let left = Number(limit)
      let before: number | undefined
      const account = user === undefined ? undefined : await findUser(service, user)
      const query = { event, subject: account?.id ?? user /* the id of one that is gone */, since: since === undefined ? undefined : timeOf(since, service.now()) }
      do {
        const { events, next } = await service.db.audit.list({ ...query, limit: Math.min(left, PAGE), before })
        for (const event of events) console.log(toLine(event))
        left -= events.length
        before = next
      } while (before !== undefined && left > 0)
    }))

  audit.command('export')
    .description('every event as a line of JSON, the oldest first')
    .action(() => onService(async ({ db }) => {
      for (const event of db.audit.walk()) console.log(JSON.stringify(toAuditEvent(event)))
    }))

  audit.command('verify')
    .description('compute the chain of hashes again; ends with 1 at the first event that does not fit')
    .option('--head <head>', 'an event and its hash as this command printed them before: they must be in the log still')
    .action(({ head }: { head?: string }) => onService(async ({ db }) => {
      const { events, last, broken, hasHead } = await db.audit.verify(head)
      if (broken !== undefined) refuse(`Event ${broken} does not follow from the one before it: the log was changed there, outside Postern.`)
      if (!hasHead) refuse(`Event ${head} is not in the log: the log was cut off or written anew, a backup from before it was restored, or retention has taken it away.`)
      console.log(`${events} events, as they were written\nhead ${last.sequence}:${last.hash.toString('hex')}`)
    }))
}

/** One line for an operator. */
export function toLine ({ sequence, at, event, outcome, actorKind, actorId, subject, session, target, ip, requestId }: AuditEvent): string {
  const who = actorId === null ? actorKind : `${actorKind} ${actorId}`
  return [sequence, new Date(at).toISOString(), event, outcome, who, subject ?? '-', session ?? '-', target ?? '-', ip ?? '-', requestId ?? '-'].join('\t')
}

function timeOf (text: string, now: number): number {
  const ago = parseMilliseconds(text)
  const time = ago === undefined ? Date.parse(text) : now - ago
  if (Number.isNaN(time)) refuse(`The time should be a date or a duration such as 24h, not "${text}".`)
  return time
}
