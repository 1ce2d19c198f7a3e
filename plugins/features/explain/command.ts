import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { CommandTools } from '../../../cli/tools.ts'

const REQUEST_ID = /^(?!prt_)[\w.-]{1,64}$/
const MOST_OF_A_REQUEST = 100
const NOTHING_GIVEN = 'Give a token or the X-Request-Id of a request. "why -" reads a token from the keyboard, until Ctrl-D.'

export default function addWhy (cli: Command, { createEventTable, onService, print, readInput, refuse }: CommandTools) {
  cli.command('why')
    .description('Explain why a token is refused, or show what a request did.')
    .argument('[token or request id]', '"-" reads it from standard input, which keeps a token out of your shell\'s history')
    .option('--role <role...>', 'roles that an access token should have', [])
    .action(async (argument: string | undefined, { role: roles }: { role: string[] }) => {
      if (argument === undefined && process.stdin.isTTY) refuse(NOTHING_GIVEN)
      const given = argument === undefined || argument === '-' ? (await readInput()).trim().replace(/^bearer +/i, '') : argument
      if (REQUEST_ID.test(given)) await onService((service) => showRequest(service, given))
      else await onService((service) => explainToken(service, given, roles))
    })

  async function explainToken ({ explain }: FastifyInstance, token: string, roles: string[]) {
    const { reason, explanation, cause } = await explain.token(token, roles)
    print(`${reason}\t${explanation}`)
    if (cause) createEventTable()([cause])
  }

  async function showRequest ({ auditLog }: FastifyInstance, requestId: string) {
    const { events } = await auditLog.list({ requestId, limit: MOST_OF_A_REQUEST })
    if (events.length === 0) {
      refuse(`The audit log has no event of request "${requestId}": it changed nothing, only refreshed, or is too old. See its log line.`)
    }
    createEventTable()(events.reverse())
  }
}
