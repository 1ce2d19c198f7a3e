import { existsSync } from 'node:fs'
import { Command } from 'commander'
import { addClients } from './cli/clients.ts'
import { addKeys } from './cli/keys.ts'
import { addSessions } from './cli/sessions.ts'
import { addUsers } from './cli/users.ts'
import manifest from './package.json' with { type: 'json' }
import { codeOf } from './plugins/errors.ts'
import { catalogue } from './plugins/problem.ts'

const cli = new Command('npm run cli --')
  .description('What an operator does to Postern, whether the service runs or not.')
  .version(manifest.version)

addUsers(cli)
addSessions(cli)
addClients(cli)
addKeys(cli)

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
