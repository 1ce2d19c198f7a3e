import { createEventTable, createTable, print, refuse } from './output.ts'
import { readInput } from './password.ts'
import { onService } from './service.ts'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { User } from '../plugins/core/database.ts'

/** The functions that a feature's command (plugins/features/<name>/command.ts) is given. */
export type CommandTools = typeof tools

export const tools = { onService, print, createTable, createEventTable, readInput, refuse }

/** Gives a command its account, as an argument or with --user, and prints what it answers. */
export function onUser (command: Command, run: (service: FastifyInstance, user: User) => Promise<string>) {
  command
    .argument('[user]', 'id, username or e-mail address')
    .option('--user <user>', 'the same')
    .action((argument: string | undefined, { user: name = argument }: { user?: string }) => {
      if (argument !== undefined && name !== argument) refuse('Name one account: as an argument or with --user, not both.')
      return onAccount(name, run)
    })
}

/** Runs a command on the account of this name, and prints what it answers. */
export function onAccount (name: string | undefined, run: (service: FastifyInstance, user: User) => Promise<string>) {
  if (name === undefined) refuse('Name the account: give an id, a username or an e-mail address.')
  return onService(async (service) => {
    const user = await findUser(service, name)
    if (!user) refuse(`There is no account "${name}".`)
    const answer = await run(service, user)
    if (answer) print(answer)
  })
}

/** The account with this id, username or e-mail address. Ends the command when two accounts match. */
export async function findUser ({ accounts }: FastifyInstance, name: string): Promise<User | undefined> {
  const [withId, withName] = await Promise.all([accounts.findById(name), accounts.findByLogin(name)])
  if (withId && withName) refuse(`"${name}" is the id of one account and the username of another. Name it in another way.`)
  return withId ?? withName
}
