import { createTable, print, refuse, toTime } from './output.ts'
import { onService } from './service.ts'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'

export function addKeys (cli: Command) {
  const keys = cli.command('keys').description('the keys that tokens are signed with')

  keys.command('list')
    .description('List all keys: kid, algorithm, when it begins to sign and when it retires.')
    .action(() => onService(async ({ now, signingKeys }) => {
      const keys = signingKeys.all()
      const current = keys.length > 0 ? signingKeys.current() : undefined
      createTable(['kid', 'algorithm', 'state', 'signs from', 'retires'])(keys.map(({ kid, algorithm, signsFrom, retiresAt }) => {
        const state = kid === current?.kid ? 'signs' : signsFrom > now() ? 'published' : 'signed'
        return [kid, algorithm, state, toTime(signsFrom), retiresAt === null ? '' : toTime(retiresAt)]
      }))
    }))

  keys.command('rotate')
    .description('Publish a new key, which signs after KEY_PREPUBLISH.')
    .option('--now', 'sign with it at once; verifiers that cache the JWKS refuse its tokens until they fetch it again')
    .action(({ now: isAtOnce }: { now?: boolean }) => onKeys(async ({ signingKeys, now }) => {
      print(await signingKeys.rotate(isAtOnce ? now() : undefined, 'cli'))
    }))

  keys.command('revoke')
    .alias('burn')
    .description('Revoke a leaked key. Its tokens are refused at once, by Postern and by every follower of the revocation feed.')
    .argument('[kid]', 'as `keys list` shows it')
    .option('--kid <kid>', 'the same, for a kid that begins with a dash')
    .action((argument: string | undefined, { kid = argument }: { kid?: string }) => onKeys(async ({ signingKeys }) => {
      if (kid === undefined) refuse('Name the key: "keys list" shows them.')
      if (!await signingKeys.revoke(kid, 'cli')) refuse(`There is no key "${kid}".`)
      print('revoked')
    }))

  keys.command('export')
    .description('Print the public keys, for gateways that cannot fetch them.')
    .option('--pem', 'as PEM instead of a JWK set')
    .action(({ pem: isPem }: { pem?: boolean }) => onKeys(async ({ signingKeys }) => {
      if (isPem) for (const { publicKey } of signingKeys.all()) print(publicKey.trimEnd())
      else print(JSON.stringify(signingKeys.jwks(), null, 2))
    }))
}

/** Runs a command on key pairs; refuses it for a shared secret. */
function onKeys (run: (service: FastifyInstance) => Promise<void>) {
  return onService(async (service) => {
    if (service.config.jwtSecret !== undefined) refuse('HS256 uses one shared secret and no key pair. To change it, change JWT_SECRET.')
    await run(service)
  })
}
