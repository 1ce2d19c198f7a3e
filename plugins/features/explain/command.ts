import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { CommandTools } from '../../../cli/tools.ts'

const REQUEST_ID = /^(?!prt_)[\w.-]{1,64}$/
const MOST_OF_A_REQUEST = 100

export default function addWhy (cli: Command, { onService, print, refuse, toAuditLine }: CommandTools) {
  cli.command('why')
    .description('Explain why a token is refused, or show what a request did.')
    .argument('[token or request id]', '"-" reads it from standard input, which keeps a token out of your shell\'s history', '-')
    .option('--role <role...>', 'roles that an access token should have', [])
    .action((argument: string, { role: roles }: { role: string[] }) => onService(async ({ auditLog, explain }) => {
      const given = argument === '-' ? (await text(process.stdin)).trim().replace(/^bearer +/i, '') : argument
      if (!REQUEST_ID.test(given)) {
        const { reason, explanation, cause } = await explain.token(given, roles)
        print(`${reason}\t${explanation}`)
        if (cause) print(toAuditLine(cause))
        return
      }

      const { events } = await auditLog.list({ requestId: given, limit: MOST_OF_A_REQUEST })
      if (events.length === 0) {
        refuse(`The audit log has no event of request "${given}": it changed nothing, only refreshed, or is too old. See its log line.`)
      }
      for (const event of events.reverse()) print(toAuditLine(event))
    }))
}
