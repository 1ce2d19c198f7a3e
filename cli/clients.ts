import { onService, refuse } from './service.ts'
import type { Command } from 'commander'

const ID = /^[A-Za-z0-9._-]{1,64}$/

export function addClients (cli: Command) {
  const clients = cli.command('clients').description('gateways and services that may introspect, revoke and follow revocations')

  clients.command('create')
    .description('make a client, and print its secret, which is shown only now')
    .argument('<id>', 'letters, digits and ._-')
    .action((id: string) => onService(async ({ clients }) => {
      if (!ID.test(id)) refuse('A client\'s id is of letters, digits and ._-, and of 64 of them at the most.')
      const secret = await clients.create(id)
      if (secret === undefined) refuse(`There is a client "${id}" already.`)
      console.log(`${id}\t${secret}`)
    }))

  clients.command('list')
    .description('every client')
    .action(() => onService(async ({ db }) => {
      for (const { id, createdAt } of await db.clients.list()) console.log(`${id}\t${new Date(createdAt).toISOString()}`)
    }))

  clients.command('delete')
    .description('let a client in no more')
    .argument('<id>')
    .action((id: string) => onService(async ({ clients }) => {
      if (!await clients.remove(id)) refuse(`There is no client "${id}".`)
      console.log('deleted')
    }))
}
