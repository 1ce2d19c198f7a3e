import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import { Writable } from 'node:stream'
import { Command } from 'commander'
import Fastify from 'fastify'
import { Type } from 'typebox'
import { Errors } from 'typebox/value'
import { core, options } from './app.ts'
import manifest from './package.json' with { type: 'json' }
import { readConfig } from './plugins/config.ts'
import { codeOf } from './plugins/errors.ts'
import { catalogue } from './plugins/problem.ts'
import { Registration } from './routes/auth/schemas.ts'
import { Role } from './routes/schemas.ts'
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import type { User } from './plugins/db.ts'

const PAGE = 200

const cli = new Command('npm run cli --')
  .description('What an operator does to Postern, whether the service runs or not.')
  .version(manifest.version)
const users = cli.command('users').description('accounts')
const sessions = cli.command('sessions').description('who is signed in')

const NewAccount = Type.Object({ ...Registration.properties, role: Type.Array(Role, { uniqueItems: true }) })

users.command('create')
  .description('make an account; the password is asked for, or read from standard input')
  .option('--username <username>')
  .option('--email <address>')
  .option('--name <name>', 'a name to show')
  .option('--role <role...>', '"admin", or a role of your own services', [])
  .action(async ({ role: roles, ...names }: Omit<Static<typeof NewAccount>, 'password'>) => {
    if (names.username === undefined && names.email === undefined) refuse('Say who: give --username, --email or both.')
    const registration = { ...names, password: await askForPassword() }
    const [fault] = Errors(NewAccount, { ...registration, role: roles })
    if (fault) refuse(`The ${fault.instancePath.split('/')[1]} ${fault.keyword === 'pattern' ? 'has characters that are not allowed in one' : fault.message}.`)
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

onUser(users.command('disable').description('end an account\'s sessions and let nobody sign in to it'), async ({ db }, { id }) => {
  await db.users.update(id, { disabled: true })
  return 'disabled'
})

onUser(users.command('enable').description('let the owner of an account sign in again'), async ({ db }, { id }) => {
  await db.users.update(id, { disabled: false })
  return 'enabled'
})

onUser(users.command('delete').description('end an account\'s sessions and delete it'), async ({ db }, { id }) => {
  await db.users.remove(id)
  return 'deleted'
})

users.command('delete-all')
  .description('delete every account, administrators too')
  .requiredOption('--yes', 'say that you mean it')
  .action(() => onService(async ({ db }) => console.log(`accounts deleted: ${await db.users.removeAll()}`)))

onUser(sessions.command('list').description('the live sessions of an account'), async ({ db, now }, { id }) => {
  const live = await db.sessions.list(id, now())
  return live.map(({ id, lastUsedAt, ip, userAgent }) => [id, new Date(lastUsedAt).toISOString(), ip, visible(userAgent || '-')].join('\t')).join('\n')
})

onUser(sessions.command('end').description('end every session of an account'), async ({ db }, { id }) => {
  const ended = await db.sessions.endAll(id)
  return `sessions ended: ${ended.length}`
})

/** Gives a command its account, as an argument or with --user, and prints what it answers. */
function onUser (command: Command, run: (service: FastifyInstance, user: User) => Promise<string>) {
  command
    .argument('[user]', 'id, username or e-mail address')
    .option('--user <user>', 'the same')
    .action((argument: string | undefined, { user: name = argument }: { user?: string }) => onService(async (service) => {
      if (name === undefined) refuse('Say whose: give an id, a username or an e-mail address.')
      const { users } = service.db
      const user = await users.findById(name) ?? await users.find(name)
      if (!user) refuse(`There is no account "${name}".`)
      const answer = await run(service, user)
      if (answer) console.log(answer)
    }))
}

/** Runs a command on the service's own plugins, without a server. */
async function onService (run: (service: FastifyInstance) => Promise<void>) {
  const config = { ...readConfig(process.env), docs: false }
  const service = Fastify(options(config))
  await service.register(core, { config })
  await service.ready()
  try {
    await run(service)
  } finally {
    await service.close()
  }
}

function toLine ({ id, username, email, roles, disabled, createdAt }: User): string {
  return [id, username ?? '-', email ?? '-', roles.join(',') || '-', disabled ? 'disabled' : 'active', new Date(createdAt).toISOString()].join('\t')
}

/** Without what a terminal would obey: the text is somebody else's. */
function visible (text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?')
}

/** From the keyboard, unseen; or the first line of what is piped in. */
async function askForPassword (): Promise<string> {
  if (!process.stdin.isTTY) {
    const [line = ''] = (await text(process.stdin)).split(/\r?\n/)
    return line
  }

  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const keyboard = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  process.stderr.write('Password: ') // after the line above, which is what hides the keys
  try {
    return await keyboard.question('')
  } finally {
    keyboard.close()
    process.stderr.write('\n')
  }
}

function refuse (sentence: string): never {
  throw Object.assign(new Error(sentence), { code: 'refused' })
}

/** Errors as the operator should read them: a sentence for what is foreseen, everything for what is not. */
function sentenceFor (error: Error & { code?: string, detail?: string }): unknown {
  if (error.code === 'refused' || error.code === 'wrong_setting') return error.message
  if (error.code === 'ABORT_ERR') return 'No password was given, so nothing was done.'
  const code = codeOf(error)
  return code === 'internal_error' ? error : error.detail ?? catalogue[code][1]
}

async function main () {
  try {
    if (existsSync('.env')) process.loadEnvFile() // what the environment holds already goes first
    await cli.parseAsync()
  } catch (error) {
    console.error(sentenceFor(error as Error)) // nothing here throws anything else
    process.exitCode = 1
  }
}

await main()
