import { setImmediate } from 'node:timers/promises'
import { parse as parseMilliseconds } from '@lukeed/ms'
import { toAuditEvent } from '../routes/audit/schemas.ts'
import { createEventTable, print, refuse } from './output.ts'
import { onService } from './service.ts'
import { findUser } from './tools.ts'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'

const PAGE = 200
const MISSING_HEAD = 'The log was cut off or written anew, an older backup was restored, or the event is older than AUDIT_RETENTION.'

interface ListOptions {
  user?: string
  event?: string
  since?: string
  limit: string
}

export function addAudit (cli: Command) {
  const audit = cli.command('audit').description('the audit log: who did what, when, and to whom')

  audit.command('list')
    .description('List events, the newest first.')
    .option(
      '--user <user>',
      'only events of this account (id, username or e-mail address); without its refreshes, unless --event asks for them'
    )
    .option('--event <event>', 'only events of this kind, such as sign_in_refused')
    .option('--since <time>', 'only events from this time on, such as 2026-11-21 or 24h')
    .option('--limit <count>', 'the most events to list', '50')
    .action((options: ListOptions) => onService((service) => listEvents(service, options)))

  audit.command('export')
    .description('Print every event as a line of JSON, the oldest first.')
    .action(() => onService(async ({ auditLog }) => {
      for await (const event of auditLog.walk()) {
        print(JSON.stringify(toAuditEvent(event)))
        if (event.sequence % PAGE === 0) await setImmediate() // lets the output be written
      }
    }))

  audit.command('verify')
    .description('Check the chain of hashes. The exit code is 1 at the first event that does not follow.')
    .option('--head <head>', 'an event and its hash, as this command printed them before: they must still be in the log')
    .action(({ head }: { head?: string }) => onService(async ({ auditLog }) => {
      const { events, last, broken, hasHead } = await auditLog.verify(head)
      if (broken !== undefined) refuse(`Event ${broken} does not follow from the one before it. Somebody changed the log outside Postern.`)
      if (!hasHead) refuse(`Event ${head} is not in the log. ${MISSING_HEAD}`)
      print(`${events} events, unchanged\nhead ${last.sequence}:${last.hash.toString('hex')}`)
    }))
}

async function listEvents (service: FastifyInstance, { user, event, since, limit }: ListOptions) {
  if (!/^[1-9]\d{0,6}$/.test(limit)) refuse(`The limit should be a number from 1, not "${limit}".`)
  const names = service.auditLog.eventNames()
  if (event !== undefined && !names.includes(event)) refuse(`There is no event "${event}". These are all: ${names.sort().join(', ')}.`)
  const subject = user === undefined ? undefined : await subjectOf(service, user)
  const add = createEventTable()
  const from = since === undefined ? undefined : toTime(since, service.now())

  let left = Number(limit)
  let before: number | undefined
  do {
    const { events, next } = await service.auditLog.list({ event, subject, since: from, limit: Math.min(left, PAGE), before })
    add(events)
    left -= events.length
    before = next
  } while (before !== undefined && left > 0)
}

/** The id of an account, also of one that was deleted: then the log still has events of it. */
async function subjectOf (service: FastifyInstance, user: string): Promise<string> {
  const account = await findUser(service, user)
  if (account) return account.id
  const { events } = await service.auditLog.list({ subject: user, limit: 1 })
  if (events.length === 0) refuse(`There is no account "${user}", and the log has no event of a deleted one with this id.`)
  return user
}

function toTime (text: string, now: number): number {
  const ago = parseMilliseconds(text)
  const time = ago === undefined ? Date.parse(text) : now - ago
  if (Number.isNaN(time)) refuse(`The time should be a date or a duration such as 24h, not "${text}".`)
  return time
}
