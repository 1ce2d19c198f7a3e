import t from 'tap'
import { openTestDatabase } from './database.ts'

t.test('apiClients', async (t) => {
  t.test('are added once, found, listed in the order of their ids, and removed', async (t) => {
    const { apiClients } = await openTestDatabase(t)
    const client = (id: string) => ({ id, secretHash: `hash of ${id}`, createdAt: 5 })
    for (const id of ['b', 'a', 'B']) t.equal(await apiClients.add(client(id)), true)

    t.equal(await apiClients.add({ ...client('a'), secretHash: 'another' }), false)
    t.same(await apiClients.findById('a'), client('a'))
    t.same(await apiClients.list(), [client('B'), client('a'), client('b')])
    t.equal(await apiClients.remove('a'), true)
    t.equal(await apiClients.remove('a'), false)
    t.equal(await apiClients.findById('a'), undefined)
  })
})
