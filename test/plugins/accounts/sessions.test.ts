import t from 'tap'
import { PASSWORD, build, converse, signUp } from '../../helper.ts'

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
    t.match(await sessionWith({ 'x-forwarded-for': '203.0.113.7', 'user-agent': 'curl/8.5.0' }), { ip: '203.0.113.7', userAgent: 'curl/8.5.0' })
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
