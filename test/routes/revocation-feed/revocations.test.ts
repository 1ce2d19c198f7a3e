import { once } from 'node:events'
import { get } from 'node:http'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import t from 'tap'
import { assertRefused, basic, build, claimsOf, createClock, databaseUrl, signIn, signUp, signUpClient } from '../../helper.ts'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

interface Event { id: number, event: string, data: { kind: string, id: string, until: string } }

const MOST_A_PAGE = 1000

/** A service that listens, and the header of a client. */
async function prepare (t: Test, options: Parameters<typeof build>[1] = {}) {
  const server = await build(t, options)
  await server.listen({ host: '127.0.0.1', port: 0 })
  return { server, client: await signUpClient(server) }
}

/** Somebody who follows the feed, over a socket. */
async function follow (t: Test, server: FastifyInstance, headers: Record<string, string>, path = '/revocations') {
  const { port } = server.server.address() as AddressInfo // it listens on a port
  const request = get({ port, path, headers, agent: false })
  t.teardown(() => request.destroy())
  const [response] = await once(request, 'response') as [IncomingMessage]
  const events: Event[] = []
  let rest: string[] = []
  response.setEncoding('utf8').on('data', (chunk: string) => {
    rest.push(chunk)
    if (!chunk.includes('\n')) return
    const blocks = rest.join('').split('\n\n')
    rest = [blocks.pop()!] // a split gives one at least
    events.push(...blocks.filter((block) => !block.startsWith(':')).map(parse))
  })

  return {
    response,
    events,

    /** The events so far, when there are as many. */
    async has (count: number): Promise<Event[]> {
      while (events.length < count) await once(response, 'data')
      return events
    }
  }
}

function parse (block: string): Event {
  const { id, event, data, ...others } = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)))
  if (Object.keys(others).length > 0) throw new Error(block)
  return { id: Number(id), event, data: JSON.parse(data) }
}

t.test('GET /revocations', async (t) => {
  t.test('sends a logout as it happens', async (t) => {
    const clock = createClock()
    const { server, client } = await prepare(t, { now: clock.now })
    const ada = await signUp(server)
    const follower = await follow(t, server, client)
    t.same(follower.events, [])

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    const [event] = await follower.has(1)
    t.same(event, { id: 1, event: 'revoked', data: { kind: 'sid', id: claimsOf(ada.access_token).sid, until: new Date(clock.now() + 900_000).toISOString() } })
    t.match(follower.response.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
  })

  t.test('sends tokens, sessions and keys, and until when each matters', async (t) => {
    const { server, client } = await prepare(t)
    const follower = await follow(t, server, client)
    const [ada, bea] = [await signUp(server), await signUp(server)]
    const { jti, exp } = claimsOf(ada.access_token)
    const { kid } = server.signingKeys.current()

    await server.inject({ method: 'POST', url: '/oauth/revoke', headers: client, payload: { token: ada.access_token } })
    await server.inject({ method: 'POST', url: '/oauth/revoke', headers: client, payload: { token: bea.refresh_token } })
    await server.signingKeys.revoke(kid)

    const events = await follower.has(3)
    t.same(events.map(({ data: { kind, id } }) => [kind, id]), [['jti', jti], ['sid', claimsOf(bea.access_token).sid], ['kid', kid]])
    t.equal(Date.parse(events[0]!.data.until), exp * 1000)
    t.ok(Date.parse(events[2]!.data.until) > Date.now() + 365 * 86_400_000, 'a leaked key signs whatever expiry it likes')
  })

  t.test('sends a new follower all that still matters', async (t) => {
    const { server, client } = await prepare(t)
    for (const name of ['a', 'b']) await (await signUp(server, { username: name })).inject({ method: 'POST', url: '/auth/logout' })

    const events = await (await follow(t, server, client)).has(2)

    t.same(events.map(({ id }) => id), [1, 2])
  })

  t.test('goes on after Last-Event-ID or `since`: nothing is missing or sent twice', async (t) => {
    const { server, client } = await prepare(t)
    const end = async () => (await signUp(server)).inject({ method: 'POST', url: '/auth/logout' })
    for (let i = 0; i < 3; i++) await end()
    const byHeader = await follow(t, server, { ...client, 'last-event-id': '2' })
    const byQuery = await follow(t, server, { ...client, accept: 'text/event-stream' }, '/revocations?since=1')
    const byBoth = await follow(t, server, { ...client, accept: 'text/event-stream', 'last-event-id': '3' }, '/revocations?since=1')

    await end()

    t.same((await byHeader.has(2)).map(({ id }) => id), [3, 4])
    t.same((await byQuery.has(3)).map(({ id }) => id), [2, 3, 4])
    t.same((await byBoth.has(1)).map(({ id }) => id), [4])
  })

  t.test('begins at the beginning for a Last-Event-ID that is none', async (t) => {
    const { server, client } = await prepare(t)
    await (await signUp(server)).inject({ method: 'POST', url: '/auth/logout' })

    for (const id of ['x', '-1', '1.5', '1'.repeat(16), '']) t.same((await (await follow(t, server, { ...client, 'last-event-id': id })).has(1)).map(({ id }) => id), [1], id)
  })

  t.test('sends what another service on the same database revoked', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const { server, client } = await prepare(t, { env })
    const other = await build(t, { env })
    const follower = await follow(t, server, client)
    const ada = await signUp(other)

    await ada.inject({ method: 'POST', url: '/auth/logout' })

    t.match(await follower.has(1), [{ data: { kind: 'sid', id: claimsOf(ada.access_token).sid } }])
  })

  t.test('reaches every follower, and those that come back later', async (t) => {
    const { server, client } = await prepare(t)
    const end = async () => (await signUp(server)).inject({ method: 'POST', url: '/auth/logout' })
    const first = await follow(t, server, client)
    const second = await follow(t, server, client)
    await end()
    for (const follower of [first, second]) t.equal((await follower.has(1)).length, 1)

    for (const follower of [first, second]) {
      follower.response.destroy()
      await once(follower.response, 'close')
    }
    await end()
    const third = await follow(t, server, { ...client, 'last-event-id': '1' })
    await end()

    t.same((await third.has(2)).map(({ id }) => id), [2, 3])
  })

  t.test('ends with the server, which does not wait for it', async (t) => {
    const { server, client } = await prepare(t)
    const followers = [await follow(t, server, client), await follow(t, server, client)]
    const ended = followers.map(({ response }) => once(response, 'end'))

    await server.close()

    t.equal((await Promise.all(ended)).length, 2)
  })

  t.test('waits for a follower that does not read, holds up no other, and forgets nothing', async (t) => {
    const { server, client } = await prepare(t)
    const reader = await follow(t, server, client)
    const { port } = server.server.address() as AddressInfo // it listens on a port
    const sleeper = connect(port, '127.0.0.1')
    sleeper.write(['GET /revocations HTTP/1.1', 'Host: localhost', `Authorization: ${client.authorization}`, '', ''].join('\r\n'))
    await once(sleeper, 'readable') // it has begun, and reads nothing

    for (let i = 1; i <= 12; i++) {
      await Promise.all(Array.from({ length: 20 }, (_, j) => server.db.revocations.add(`${i} ${j} ${'x'.repeat(100_000)}`, Date.now())))
      await reader.has(i * 20)
    }
    const ids: number[] = []
    for await (const line of createInterface({ input: sleeper })) {
      const [, id] = /^id: (\d+)$/.exec(line) ?? []
      if (id !== undefined) ids.push(Number(id))
      if (ids.length === 240) break
    }
    sleeper.destroy()

    t.equal(reader.events.length, 240)
    t.same(ids, Array.from({ length: 240 }, (_, i) => i + 1))
  })

  t.test('ends for a client that is deleted', async (t) => {
    const { server } = await prepare(t)
    const gone = await follow(t, server, basic('gone', (await server.apiClients.create('gone'))!))
    const cutOff = once(gone.response, 'error')

    await server.db.apiClients.remove('gone') // as another process does

    t.match(await cutOff, [{ code: 'ECONNRESET' }])
  })

  t.test('is for clients only', async (t) => {
    const { server } = await prepare(t)
    const ada = await signUp(server, { username: 'ada' })

    for (const url of ['/revocations', '/revocations?since=0']) {
      assertRefused(t, await server.inject({ url }), 401, 'invalid_client')
      assertRefused(t, await ada.inject({ url }), 401, 'invalid_client')
      assertRefused(t, await server.inject({ url, headers: basic('client', 'secret') }), 401, 'invalid_client')
    }
  })

  t.test('refuses HEAD', async (t) => {
    const { server, client } = await prepare(t)

    t.equal((await server.inject({ method: 'HEAD', url: '/revocations', headers: client })).statusCode, 405)
  })
})

t.test('GET /revocations?since=', async (t) => {
  t.test('gives what is new since then, and from where to go on', async (t) => {
    const clock = createClock()
    const { server, client } = await prepare(t, { now: clock.now })
    const since = async (cursor: string) => (await server.inject({ url: `/revocations?since=${cursor}`, headers: client })).json()
    t.same(await since('0'), { revocations: [], cursor: '0', more: false })
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')

    await phone.inject({ method: 'POST', url: '/auth/logout' })
    const first = await since('0')
    await laptop.inject({ method: 'POST', url: '/auth/logout' })
    const second = await since(first.cursor)

    const until = new Date(clock.now() + 900_000).toISOString()
    t.same(first, { revocations: [{ kind: 'sid', id: claimsOf(phone.access_token).sid, until }], cursor: '1', more: false })
    t.same(second, { revocations: [{ kind: 'sid', id: claimsOf(laptop.access_token).sid, until }], cursor: '2', more: false })
    t.same(await since(second.cursor), { revocations: [], cursor: '2', more: false })
    t.same(await since('999999999999999'), { revocations: [], cursor: '999999999999999', more: false })
  })

  t.test('gives a page at a time', async (t) => {
    const { server, client } = await prepare(t)
    const since = async (cursor: string) => (await server.inject({ url: `/revocations?since=${cursor}`, headers: client })).json()
    await Promise.all(Array.from({ length: MOST_A_PAGE + 2 }, (_, i) => server.db.revocations.add(`token ${i}`, Date.now() + 1000)))

    const first = await since('0')
    const second = await since(first.cursor)

    t.match(first, { cursor: String(MOST_A_PAGE), more: true })
    t.match(second, { cursor: String(MOST_A_PAGE + 2), more: false })
    t.same([first, second].map(({ revocations }) => revocations.length), [MOST_A_PAGE, 2])
    t.equal(new Set([...first.revocations, ...second.revocations].map(({ id }) => id)).size, MOST_A_PAGE + 2)
  })

  t.test('forgets what has expired, and skips nothing for that', async (t) => {
    const clock = createClock()
    const { server, client } = await prepare(t, { now: clock.now })
    await (await signUp(server)).inject({ method: 'POST', url: '/auth/logout' })
    clock.advance(86_400 + 900)
    await (await signUp(server)).inject({ method: 'POST', url: '/auth/logout' })
    await server.blocklist.prune()

    t.match((await server.inject({ url: '/revocations?since=0', headers: client })).json(), { revocations: [{ kind: 'sid' }], cursor: '2' })
  })

  t.test('refuses a cursor that is none', async (t) => {
    const { server, client } = await prepare(t)

    for (const query of ['since=-1', 'since=x', 'since=1.5', `since=${'1'.repeat(16)}`, 'since=0&since=1', 'until=0']) {
      assertRefused(t, await server.inject({ url: `/revocations?${query}`, headers: client }), 400, 'validation_failed')
    }
  })
})
