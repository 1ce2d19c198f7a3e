import { onService, refuse } from './service.ts'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'

export function addKeys (cli: Command) {
  const keys = cli.command('keys').description('what tokens are signed with')

  keys.command('list')
    .description('every key: its kid, algorithm, when it begins to sign and when it retires')
    .action(() => onService(async ({ keys }) => {
      const { kid: current } = keys.current()
      for (const { kid, algorithm, signsFrom, retiresAt } of keys.all()) {
        console.log([kid, algorithm, kid === current ? 'signs' : '-', toTime(signsFrom), toTime(retiresAt)].join('\t'))
      }
    }))

  keys.command('rotate')
    .description('publish a new key, which signs after KEY_PREPUBLISH')
    .option('--now', 'let it sign at once: verifiers that keep a JWKS refuse its tokens until they fetch it again')
    .action(({ now: isAtOnce }: { now?: boolean }) => onKeys(async ({ keys, now }) => {
      console.log(await keys.rotate(isAtOnce ? now() : undefined, 'cli'))
    }))

  keys.command('burn')
    .description('end a leaked key: its tokens are refused at once, everywhere that follows the feed or asks Postern')
    .argument('[kid]')
    .option('--kid <kid>', 'the same, for one with a dash in front')
    .action((argument: string | undefined, { kid = argument }: { kid?: string }) => onKeys(async ({ keys }) => {
      if (kid === undefined || !await keys.burn(kid, 'cli')) refuse(`There is no key "${kid ?? ''}".`)
      console.log('burnt')
    }))

  keys.command('export')
    .description('the public keys, for gateways that cannot fetch them')
    .option('--pem', 'as PEM instead of a JWK set')
    .action(({ pem: isPem }: { pem?: boolean }) => onKeys(async ({ keys }) => {
      if (isPem) for (const { publicKey } of keys.all()) console.log(publicKey.trimEnd())
      else console.log(JSON.stringify(keys.jwks(), null, 2))
    }))
}

/** Runs a command on keys that are pairs. */
function onKeys (run: (service: FastifyInstance) => Promise<void>) {
  return onService(async (service) => {
    if (service.config.jwtSecret !== undefined) refuse('HS256 has one key, and no public one: to change it, change JWT_SECRET.')
    await run(service)
  })
}

function toTime (time: number | null): string {
  return time === null ? '-' : new Date(time).toISOString()
}
