import t from 'tap'
import { PASSWORD, build, claimsOf, converse, createClock, signUp } from '../helper.ts'

t.test('A session', async (t) => {
  const server = await build(t, { env: { TRUST_PROXY: '127.0.0.1' } })
  const ada = await signUp(server, { username: 'ada' })
  const sessionWith = async (headers: Record<string, string>) => {
    const response = await server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'ada', password: PASSWORD }, headers })
    const [session] = await server.db.sessions.list(ada.user.id, Date.now())
    await server.db.sessions.endAll(ada.user.id)
    return response.statusCode === 200 ? session : undefined
  }

  t.test('remembers where it began, and with what', async (t) => {
    t.match(await sessionWith({ 'x-forwarded-for': '203.0.113.7', 'user-agent': 'curl/8.5.0' }), { ip: '203.0.113.7', userAgent: 'curl/8.5.0', generation: 0 })
  })

  t.test('remembers no more of a long User-Agent than is of use', async (t) => {
    t.equal((await sessionWith({ 'user-agent': 'x'.repeat(4000) }))?.userAgent, 'x'.repeat(256))
  })

  t.test('does without a User-Agent', async (t) => {
    const body = JSON.stringify({ username: 'ada', password: PASSWORD })
    await server.listen({ host: '127.0.0.1', port: 0 })

    const answer = await converse(server, 'POST /auth/login HTTP/1.1', 'Host: localhost', 'Connection: close', 'Content-Type: application/json', `Content-Length: ${body.length}`, '', body)

    t.match(answer, /^HTTP\/1\.1 200 /)
    t.match(await server.db.sessions.list(ada.user.id, Date.now()), [{ ip: '127.0.0.1', userAgent: null }])
  })
})

t.test('An access token', async (t) => {
  t.test('never outlives its session\'s SESSION_MAX_AGE', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { ACCESS_TOKEN_TTL: '15m', SESSION_MAX_AGE: '20m' }, now: clock.now })
    const ada = await signUp(server)
    const seconds = clock.now() / 1000

    clock.advance(6 * 60)
    const later = (await ada.refresh()).json()

    t.equal(claimsOf(ada.access_token).exp, seconds + 15 * 60)
    t.equal(claimsOf(later.access_token).exp, seconds + 20 * 60)
    t.equal(later.expires_in, 14 * 60)
    const brief = await build(t, { env: { ACCESS_TOKEN_TTL: '15m', SESSION_MAX_AGE: '5m' }, now: clock.now })
    t.equal((await signUp(brief)).expires_in, 5 * 60)
  })

  t.test('expires on a whole second, whatever moment it is issued at', async (t) => {
    let time = Date.parse('2026-11-21T12:00:00.999Z')
    const server = await build(t, { now: () => time })
    const ada = await signUp(server)

    time += 1503
    const later = (await ada.refresh()).json()

    t.equal(claimsOf(ada.access_token).exp, Date.parse('2026-11-21T12:15:00Z') / 1000)
    t.equal(claimsOf(later.access_token).exp, Date.parse('2026-11-21T12:15:02Z') / 1000)
  })
})
