import type { Command } from 'commander'
import type { CommandTools } from '../../../cli/tools.ts'

const ID = /^[A-Za-z0-9._-]{1,64}$/

export default function addClients (cli: Command, { createTable, onService, print, refuse }: CommandTools) {
  const clients = cli.command('clients').description('gateways and services that may introspect, revoke and follow revocations')

  clients.command('create')
    .description('Make a client and print its secret, which is shown only now.')
    .argument('<id>', 'letters, digits and ._-')
    .action((id: string) => onService(async ({ apiClients }) => {
      if (!ID.test(id)) refuse('A client id has 1 to 64 letters, digits and ._- in it.')
      const secret = await apiClients.create(id)
      if (secret === undefined) refuse(`A client "${id}" exists already.`)
      print(`client id\t${id}\nsecret\t${secret}`)
    }))

  clients.command('list')
    .description('List all clients.')
    .action(() => onService(async ({ apiClients }) => {
      const clients = await apiClients.list()
      createTable(['client id', 'made'])(clients.map(({ id, createdAt }) => [id, new Date(createdAt).toISOString()]))
    }))

  clients.command('delete')
    .description('Delete a client. It is refused from the next request on.')
    .argument('<id>')
    .action((id: string) => onService(async ({ apiClients }) => {
      if (!await apiClients.remove(id)) refuse(`There is no client "${id}".`)
      print('deleted')
    }))
}
