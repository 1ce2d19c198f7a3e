import { existsSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { codeOf } from '../plugins/errors.ts'
import { catalogue } from '../plugins/problem.ts'
import { addAudit } from './audit.ts'
import { addBackup } from './backup.ts'
import { addClients } from './clients.ts'
import { addDoctor } from './doctor.ts'
import { addKeys } from './keys.ts'
import { addRestore } from './restore.ts'
import { addSessions } from './sessions.ts'
import { addUsers } from './users.ts'
import { addWhy } from './why.ts'

/**
 * Runs one command of the operator's, printed with `console`; gives the exit code.
 * `args` are the words after `npm run cli --`.
 */
export async function main (args: string[]): Promise<number> {
  try {
    if (existsSync('.env')) process.loadEnvFile() // what the environment holds already goes first
    await createCli().parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode // it has said what it had to say
    console.error(sentenceFor(error as Error)) // nothing here throws anything else
    return 1
  }
}

function createCli (): Command {
  const cli = new Command('npm run cli --')
    .description('What an operator does to Postern, whether the service runs or not.')
    .version(manifest.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => console.log(text.trimEnd()),
      writeErr: (text) => console.error(text.trimEnd())
    })

  addUsers(cli)
  addSessions(cli)
  addClients(cli)
  addKeys(cli)
  addAudit(cli)
  addWhy(cli)
  addBackup(cli)
  addRestore(cli)
  addDoctor(cli)
  return cli
}

/** Errors as the operator should read them: a sentence for what is foreseen, everything for what is not. */
function sentenceFor (error: Error & { code?: string, detail?: string }): unknown {
  if (error.code === 'refused' || error.code === 'wrong_setting') return error.message
  if (error.code === 'ABORT_ERR') return 'No password was given, so nothing was done.'
  const code = codeOf(error)
  return code === 'internal_error' ? error : error.detail ?? catalogue[code][1]
}
