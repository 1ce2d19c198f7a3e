import Fastify from 'fastify'
import { options, plugins } from '../app.ts'
import { readConfig } from '../plugins/core/config/index.ts'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { AuditEvent, User } from '../plugins/core/database.ts'
import type { Config } from '../plugins/core/config/index.ts'

/** The functions that a feature's command (plugins/features/<name>/command.ts) is given. */
export type CommandTools = typeof tools

export const tools = { onService, print, refuse, toAuditLine }

/** Runs a command on the service's own plugins, without a server. */
export async function onService (run: (service: FastifyInstance) => Promise<void>) {
  await withService(readConfig(process.env), run)
}

/** The same with settings of its own. */
export async function withService<Answer> (config: Config, run: (service: FastifyInstance) => Promise<Answer>): Promise<Answer> {
  const service = Fastify(options(config))
  await service.register(plugins, { config, isServing: false })
  await service.ready()
  try {
    return await run(service)
  } finally {
    await service.close()
  }
}

/** Gives a command its account, as an argument or with --user, and prints what it answers. */
export function onUser (command: Command, run: (service: FastifyInstance, user: User) => Promise<string>) {
  command
    .argument('[user]', 'id, username or e-mail address')
    .option('--user <user>', 'the same')
    .action((argument: string | undefined, { user: name = argument }: { user?: string }) => onService(async (service) => {
      if (argument !== undefined && name !== argument) refuse('Name one account: as an argument or with --user, not both.')
      if (name === undefined) refuse('Name the account: give an id, a username or an e-mail address.')
      const user = await findUser(service, name)
      if (!user) refuse(`There is no account "${name}".`)
      const answer = await run(service, user)
      if (answer) print(answer)
    }))
}

/** The account with this id, username or e-mail address. Ends the command when two accounts match. */
export async function findUser ({ accounts }: FastifyInstance, name: string): Promise<User | undefined> {
  const [withId, withName] = await Promise.all([accounts.findById(name), accounts.findByLogin(name)])
  if (withId && withName) refuse(`"${name}" is the id of one account and the username of another. Name it in another way.`)
  return withId ?? withName
}

export function print (line: string) {
  console.log(line)
}

/** Ends the command with a sentence for the operator. */
export function refuse (sentence: string): never {
  throw Object.assign(new Error(sentence), { code: 'refused' })
}

/** An audit event as one line. */
export function toAuditLine ({ actorKind, actorId, at, ...event }: AuditEvent): string {
  const time = new Date(at).toISOString()
  const actor = actorId === null ? actorKind : `${actorKind} ${actorId}`
  const { subject, session, target, ip, requestId } = event
  const details = [subject, session, target, ip, requestId].map((value) => value ?? '-')
  return [event.sequence, time, event.event, event.outcome, actor, ...details].join('\t')
}
