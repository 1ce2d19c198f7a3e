import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { loadEnvFile } from '../plugins/core/config/env-file.ts'
import { coreProblem } from '../plugins/core/problem-catalogue.ts'
import { codeOf } from '../plugins/core/problem-codes.ts'
import { addAudit } from './audit.ts'
import { addBackup } from './backup.ts'
import { addCopy } from './copy.ts'
import { addDoctor } from './doctor.ts'
import { addKeys } from './keys.ts'
import { addRestore } from './restore.ts'
import { addRestored } from './restored.ts'
import { addSessions } from './sessions.ts'
import { tools } from './tools.ts'
import { addUsers } from './users.ts'
import type { CommandTools } from './tools.ts'

const FEATURES = new URL('../plugins/features/', import.meta.url)

/** npm keeps the options for itself, and passes their values on. */
const HINT = 'Did you leave out the "--"? For example: npm run cli -- users create --username ada'

interface FeatureCommand { default: (cli: Command, tools: CommandTools) => void }

/**
 * Runs one command and prints with `console`. Gives the exit code.
 * `args` are the words after `npm run cli --`.
 */
export async function main (args: string[]): Promise<number> {
  try {
    loadEnvFile()
    const cli = await createCli()
    await cli.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode // it has said what it had to say
    console.error(toSentence(error as Error)) // nothing here throws anything else
    return 1
  }
}

async function createCli (): Promise<Command> {
  const cli = new Command('npm run cli --')
    .description('Operate Postern, whether the service runs or not.')
    .version(manifest.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => console.log(text.trimEnd()),
      writeErr: (text) => console.error(text.trimEnd()),
      outputError: (text, write) => write(text.startsWith('error: too many arguments') ? text + HINT : text)
    })

  addUsers(cli)
  addSessions(cli)
  addKeys(cli)
  addAudit(cli)
  for (const file of globSync('*/command.ts', { cwd: fileURLToPath(FEATURES) }).sort()) {
    const { default: addCommands } = await import(new URL(file, FEATURES).href) as FeatureCommand
    addCommands(cli, tools)
  }
  addBackup(cli)
  addRestore(cli)
  addRestored(cli)
  addCopy(cli)
  addDoctor(cli)
  return cli
}

/** One sentence for what is foreseen; the whole error for what is not. */
function toSentence (error: Error & { code?: string, detail?: string }): unknown {
  if (error.code === 'refused' || error.code === 'wrong_setting') return error.message
  if (error.code === 'ABORT_ERR') return 'No password was given, so nothing was done.'
  const code = codeOf(error, { kindOf: coreProblem })
  return code === 'internal_error' ? error : error.detail ?? coreProblem(code)![1] // it was found under this code
}
