import Fastify from 'fastify'
import { core, options } from '../app.ts'
import { readConfig } from '../plugins/config.ts'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../plugins/config.ts'
import type { User } from '../plugins/db.ts'

/** Runs a command on the service's own plugins, without a server. */
export async function onService (run: (service: FastifyInstance) => Promise<void>) {
  await withService(readConfig(process.env), run)
}

/** The same with settings of its own. */
export async function withService<Answer> (settings: Config, run: (service: FastifyInstance) => Promise<Answer>): Promise<Answer> {
  const config = { ...settings, docs: false, metrics: undefined, tracing: undefined }
  const service = Fastify(options(config))
  await service.register(core, { config })
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
      if (name === undefined) refuse('Say whose: give an id, a username or an e-mail address.')
      const user = await findUser(service, name)
      if (!user) refuse(`There is no account "${name}".`)
      const answer = await run(service, user)
      if (answer) console.log(answer)
    }))
}

/** The account with this id, username or e-mail address, if there is one; ends the command when there are two. */
export async function findUser ({ db: { users } }: FastifyInstance, name: string): Promise<User | undefined> {
  const [withId, named] = await Promise.all([users.findById(name), users.find(name)])
  if (withId && named) refuse(`"${name}" is the id of one account and the username of another: name it in another way.`)
  return withId ?? named
}

/** Ends the command with a sentence for the operator. */
export function refuse (sentence: string): never {
  throw Object.assign(new Error(sentence), { code: 'refused' })
}
