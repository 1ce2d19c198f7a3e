import t from 'tap'
import { PASSWORD, assertList, assertOver, assertRefused, build, buildShared, converse, createClock, signIn, signUp, stored } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'

const AGENT = 'curl/8.5.0'

const server = await buildShared(t)

t.test('GET /auth/sessions', async (t) => {
  t.test('lists the caller\'s live sessions, the last used first, with where each was last refreshed, and marks the current one', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const phone = await signUp(server, { username: 'ada' })
    await signUp(server, { username: 'grace' })
    clock.advance(60)
    const laptop = (await login(server, { 'user-agent': AGENT })).json()
    clock.advance(60)
    await signIn(server, 'ada')
    clock.advance(60)
    await server.inject({ method: 'POST', url: '/auth/refresh', remoteAddress: '203.0.113.9', headers: { 'user-agent': 'another' }, payload: { refresh_token: laptop.refresh_token } })

    const response = await phone.inject({ url: '/auth/sessions' })

    t.equal(response.statusCode, 200)
    assertList(t, response.json().sessions, [
      { created_at: '2026-11-21T12:01:00.000Z', last_used_at: '2026-11-21T12:03:00.000Z', expires_at: '2026-12-21T12:03:00.000Z', ip: '203.0.113.9', user_agent: 'another', current: false },
      { created_at: '2026-11-21T12:02:00.000Z', last_used_at: '2026-11-21T12:02:00.000Z', current: false },
      { created_at: '2026-11-21T12:00:00.000Z', last_used_at: '2026-11-21T12:00:00.000Z', current: true }
    ])
    t.strictSame(Object.keys(response.json().sessions[0]), ['id', 'created_at', 'last_used_at', 'expires_at', 'ip', 'user_agent', 'current'])
  })

  t.test('leaves out what has expired', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { REFRESH_TOKEN_TTL: '1h' }, now: clock.now })
    await signUp(server, { username: 'ada' })
    clock.advance(3600)
    const laptop = await signIn(server, 'ada')

    const response = await laptop.inject({ url: '/auth/sessions' })

    assertList(t, response.json().sessions, [{ current: true }])
  })

  t.test('shows where a session came from, as far as a client says', async (t) => {
    const server = await build(t, { env: { TRUST_PROXY: '127.0.0.1' } })
    await signUp(server, { username: 'ada' })
    const ada = await signIn(server, 'ada')
    await login(server, { 'x-forwarded-for': '203.0.113.7', 'user-agent': 'x'.repeat(300) })
    await loginWithoutAgent(server)

    const response = await ada.inject({ url: '/auth/sessions' })

    const seen = response.json().sessions.map(({ ip, user_agent: agent }: { ip: string, user_agent: string | null }) => [ip, agent])
    t.strictSame(new Set(seen), new Set([
      ['127.0.0.1', 'lightMyRequest'],
      ['127.0.0.1', 'lightMyRequest'],
      ['203.0.113.7', 'x'.repeat(256)],
      ['127.0.0.1', null]
    ]))
  })
})

t.test('DELETE /auth/sessions/{id}', async (t) => {
  t.test('ends one session and no other', async (t) => {
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    const { sid } = await server.accessTokens.verify(phone.access_token)

    const response = await laptop.inject({ method: 'DELETE', url: `/auth/sessions/${sid}` })

    t.equal(response.statusCode, 204)
    await assertOver(t, server, phone)
    t.equal((await laptop.inject({ url: '/secret' })).statusCode, 200)
    assertList(t, (await laptop.inject({ url: '/auth/sessions' })).json().sessions, [{ current: true }])
  })

  t.test('ends the current session, too', async (t) => {
    const ada = await signUp(server)
    const { sid } = await server.accessTokens.verify(ada.access_token)

    const response = await ada.inject({ method: 'DELETE', url: `/auth/sessions/${sid}` })

    t.equal(response.statusCode, 204)
    await assertOver(t, server, ada)
  })

  t.test('finds no session of another user', async (t) => {
    const ada = await signUp(server)
    const grace = await signUp(server)
    const { sid } = await server.accessTokens.verify(grace.access_token)

    const response = await ada.inject({ method: 'DELETE', url: `/auth/sessions/${sid}` })

    assertRefused(t, response, 404, 'not_found')
    t.equal((await grace.inject({ url: '/secret' })).statusCode, 200)
    t.equal((await grace.refresh()).statusCode, 200)
  })

  t.test('answers 404 for a session that is over or unknown', async (t) => {
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    await phone.inject({ method: 'POST', url: '/auth/logout' })
    const { sessions: before } = await stored(server)

    const { sid } = server.jwt.decode<{ payload: { sid: string } }>(phone.access_token)!.payload
    for (const id of [sid, 'A'.repeat(22), 'nothing', '%00', "'%20or%201=1--", '__proto__']) {
      assertRefused(t, await laptop.inject({ method: 'DELETE', url: `/auth/sessions/${id}` }), 404, 'not_found')
    }
    t.strictSame((await stored(server)).sessions, before)
  })
})

function login (server: FastifyInstance, headers: Record<string, string>) {
  return server.inject({ method: 'POST', url: '/auth/login', headers, payload: { username: 'ada', password: PASSWORD } })
}

async function loginWithoutAgent (server: FastifyInstance) {
  const body = JSON.stringify({ username: 'ada', password: PASSWORD })
  await server.listen({ host: '127.0.0.1', port: 0 })
  const answer = await converse(server,
    'POST /auth/login HTTP/1.1', 'Host: localhost', 'Connection: close', 'Content-Type: application/json', `Content-Length: ${body.length}`, '', body)
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(answer)
}
