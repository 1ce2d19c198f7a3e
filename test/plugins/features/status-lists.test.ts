import { stat } from 'node:fs/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { build, claimsOf, createClock, databaseUrl, signUp } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

const MINUTE = 60
const DAY = 24 * 60 * MINUTE

/** A service with a list; `get` gives the list as anybody reads it. */
async function prepare (t: Test) {
  const clock = createClock()
  const server = await build(t, { env: { ACCESS_TOKEN_TTL: '2h', KEY_PREPUBLISH: '10m' }, now: clock.now })
  const ada = await signUp(server)
  const { uri } = claimsOf(ada.access_token).status.status_list
  return { clock, server, ada, get: async () => (await server.inject({ url: new URL(uri).pathname })).body }
}

/** The list of an access token, as anybody reads it. */
async function listOf (server: FastifyInstance, token: string): Promise<string> {
  const { body } = await server.inject({ url: new URL(claimsOf(token).status.status_list.uri).pathname })
  return body
}

t.test('A status list', async (t) => {
  t.test('is built once for all who ask, also at the same moment', async (t) => {
    const { clock, get } = await prepare(t)

    const lists = await Promise.all(Array.from({ length: 20 }, get))
    clock.advance(30 * MINUTE - 1)
    lists.push(await get())

    t.equal(new Set(lists).size, 1)
  })

  t.test('is built anew when half its life is over, so that nobody gets one that expires soon', async (t) => {
    const { clock, get } = await prepare(t)
    const first = claimsOf(await get())

    clock.advance(30 * MINUTE)
    const second = claimsOf(await get())

    t.equal(second.iat, first.iat + 30 * MINUTE)
    t.equal(second.exp, first.exp + 30 * MINUTE)
    t.equal(second.status_list.lst, first.status_list.lst)
  })

  t.test('is built anew when another key signs', async (t) => {
    const { clock, server, get } = await prepare(t)
    const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()).kid
    const next = await server.signingKeys.rotate()
    const before = await get()

    clock.advance(10 * MINUTE)

    t.not(kidOf(before), next)
    t.equal(kidOf(await get()), next)
    await server.signingKeys.revoke(next!)
    t.equal(kidOf(await get()), server.signingKeys.current().kid)
  })

  t.test('is built anew by whichever process revoked something of it, and by no other revocation', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const server = await build(t, { env })
    const other = await build(t, { env })
    const ada = await signUp(server)
    const get = () => listOf(server, ada.access_token)
    const first = await get()

    await other.db.revocations.add('a token of no list', Date.now() + 60_000)
    t.equal(await get(), first)
    await other.db.sessions.end(claimsOf(ada.access_token).sid)

    t.not(claimsOf(await get()).status_list.lst, claimsOf(first).status_list.lst)
    t.equal(await get(), await get())
  })

  t.test('does not count its bits again until something was revoked', async (t) => {
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
    const ada = await signUp(server)
    const first = await listOf(server, ada.access_token)
    const file = new Client(server.db.file)
    t.teardown(() => file.close())

    file.exec('alter table revoked_statuses rename to away')
    await stat('.') // what another process wrote is seen by what comes from outside afterwards
    t.equal(await listOf(server, ada.access_token), first)
    file.exec('alter table away rename to revoked_statuses')
  })

  t.test('that could not be built is tried again at the next request', async (t) => {
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
    const ada = await signUp(server)
    const file = new Client(server.db.file)
    t.teardown(() => file.close())

    file.exec('alter table revoked_statuses rename to away; create view revoked_statuses as select list, abs(-9223372036854775807 - 1) as "index" from (select * from away union all select id, 0 from status_lists)') // its rows can be counted, and not read
    await stat('.')
    t.match(JSON.parse(await listOf(server, ada.access_token)), { status: 500 })
    file.exec('drop view revoked_statuses; alter table away rename to revoked_statuses; insert into revoked_statuses select id, 0 from status_lists') // as many rows
    await stat('.')

    t.equal(claimsOf(await listOf(server, ada.access_token)).ttl, 15)
  })

  t.test('is forgotten with its tokens, of which the last are issued after a day', async (t) => {
    const { clock, server, ada, get } = await prepare(t)
    const before = claimsOf(await get())

    clock.advance(DAY - 1)
    t.equal(claimsOf((await ada.refresh()).json().access_token).status.status_list.uri, before.sub)
    clock.advance(120 * MINUTE)
    t.ok((await get()).startsWith('ey'))
    clock.advance(1)
    t.notOk((await get()).startsWith('ey'))
    const bea = await signUp(server)

    t.not(claimsOf(bea.access_token).status.status_list.uri, before.sub)
    t.equal(claimsOf(await listOf(server, bea.access_token)).iat, clock.now() / 1000)
  })

  t.test('that nothing was set aside of is forgotten with its tokens, and there again with the next', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t), ACCESS_TOKEN_TTL: '2h' }, now: clock.now })
    const file = new Client(server.db.file)
    t.teardown(() => file.close())
    file.exec("create trigger no_blocks before update on status_lists when new.issued > old.issued + 1 begin select raise(abort, 'no blocks'); end")
    const ada = await signUp(server)
    const before = claimsOf(await listOf(server, ada.access_token))

    clock.advance(120 * MINUTE)
    t.notOk((await listOf(server, ada.access_token)).startsWith('ey'))
    const again = (await ada.refresh()).json()

    t.equal(claimsOf(again.access_token).status.status_list.uri, before.sub)
    t.equal(claimsOf(await listOf(server, again.access_token)).iat, clock.now() / 1000)
    t.not(claimsOf(again.access_token).status.status_list.idx, claimsOf(ada.access_token).status.status_list.idx)
  })
})
