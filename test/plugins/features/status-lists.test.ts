import t from 'tap'
import { build, claimsOf, createClock, signUp } from '../../helper.ts'
import type { Test } from 'tap'

const MINUTE = 60

/** A service with a list; `get` gives the list as anybody reads it. */
async function prepare (t: Test) {
  const clock = createClock()
  const server = await build(t, { env: { ACCESS_TOKEN_TTL: '2h', KEY_PREPUBLISH: '10m' }, now: clock.now })
  const ada = await signUp(server)
  const { uri } = claimsOf(ada.access_token).status.status_list
  return { clock, server, ada, get: async () => (await server.inject({ url: new URL(uri).pathname })).body }
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

  t.test('is forgotten with its tokens', async (t) => {
    const { clock, server, ada, get } = await prepare(t)
    const before = claimsOf(await get())

    clock.advance(120 * MINUTE)
    t.notOk((await get()).startsWith('ey'))
    const [session] = await server.db.sessions.list(ada.user.id, clock.now())
    t.ok(session)
    const again = (await ada.refresh()).json()

    const { uri } = claimsOf(again.access_token).status.status_list
    t.equal(uri, before.sub)
    t.equal(claimsOf(await get()).iat, clock.now() / 1000)
  })
})
