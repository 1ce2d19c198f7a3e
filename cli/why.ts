import { text } from 'node:stream/consumers'
import { toLine } from './audit.ts'
import { onService, refuse } from './service.ts'
import type { Command } from 'commander'

const REQUEST_ID = /^(?!prt_)[\w.-]{1,64}$/
const MOST_OF_A_REQUEST = 100

export function addWhy (cli: Command) {
  cli.command('why')
    .description('which rule refuses a token, or what a request did')
    .argument('[token or request id]', 'a request id, or a token; - or nothing reads it from standard input, which keeps a token out of the history of your shell', '-')
    .option('--role <role...>', 'roles that an access token should have', [])
    .action((argument: string, { role: roles }: { role: string[] }) => onService(async ({ db, explanations }) => {
      const given = argument === '-' ? (await text(process.stdin)).trim().replace(/^bearer +/i, '') : argument
      if (!REQUEST_ID.test(given)) {
        const { reason, explanation, cause } = await explanations.ofToken(given, roles)
        console.log(`${reason}\t${explanation}`)
        if (cause) console.log(toLine(cause))
        return
      }

      const { events } = await db.audit.list({ requestId: given, limit: MOST_OF_A_REQUEST })
      if (events.length === 0) refuse(`The audit log has nothing of a request "${given}": it changed nothing, only refreshed, or is too old; its log line tells more.`)
      for (const event of events.reverse()) console.log(toLine(event))
    }))
}
