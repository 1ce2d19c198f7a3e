import t from 'tap'
import { PASSWORD, build, converse, signUp } from '../../helper.ts'

t.test('A request', async (t) => {
  const server = await build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })

  for (const [name, lines, status, code] of [
    ['with two Host headers', ['GET /health/live HTTP/1.1', 'Host: a', 'host: b'], 400, 'bad_request'],
    ['of HTTP/1.1 without Host', ['GET /health/live HTTP/1.1'], 400, 'bad_request'],
    ['that expects the unknown', ['GET /health/live HTTP/1.1', 'Host: a', 'Expect: 200-maybe'], 417, 'expectation_failed']
  ] as const) {
    t.test(`${name} is refused with a problem`, async (t) => {
      const answer = await converse(server, ...lines, 'Connection: close')

      t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
      t.match(answer, /\r\ncontent-type: application\/problem\+json/)
      t.match(answer, `"code":"${code}"`)
    })
  }

  t.test('of a gateway may have the Expect of the request that it is about', async (t) => {
    t.match(await converse(server, 'GET /verify HTTP/1.1', 'Host: a', 'Expect: 200-maybe', 'Connection: close'), /^HTTP\/1\.1 401 /)
  })

  for (const [name, lines] of [
    ['of HTTP/1.0 without Host', ['GET /health/live HTTP/1.0']],
    ['that expects to be told to continue', ['GET /health/live HTTP/1.1', 'Host: a', 'Expect: 100-Continue']]
  ] as const) {
    t.test(`${name} is answered`, async (t) => {
      t.match(await converse(server, ...lines, 'Connection: close'), /HTTP\/1\.1 200 OK\r\n/)
    })
  }
})

t.test('User-Agent', async (t) => {
  const server = await build(t)
  const latin1 = (text: string) => Buffer.from(text).toString('latin1') // how bytes of UTF-8 arrive

  for (const [name, given, wanted] of [
    ['plain', 'curl/8.5.0 (x; y)', 'curl/8.5.0 (x; y)'],
    ['UTF-8', latin1('Müllers Browser 🦉'), 'Müllers Browser 🦉'],
    ['a control character of UTF-8', latin1('a\u009b31mb'), 'a?31mb'],
    ['a control character as a byte', 'a\x9b31mb', 'a?31mb'],
    ['another character set', 'M\xfcller', 'M?ller'],
    ['a tabulator', 'a\tb', 'a?b'],
    ['what turns the direction', latin1('a\u202eb\u2028c'), 'a?b?c']
  ] as const) {
    t.test(`is kept as text that can be printed: ${name}`, async (t) => {
      const { user } = await signUp(server)

      const tokens = (await server.inject({ method: 'POST', url: '/auth/login', payload: { username: user.username, password: PASSWORD }, headers: { 'user-agent': given } })).json()
      const { sessions } = (await server.inject({ url: '/auth/sessions', headers: { authorization: `Bearer ${tokens.access_token}` } })).json()
      const { events } = await server.auditLog.list({ limit: 1, event: 'signed_in' })

      t.equal(sessions.find(({ current }: { current: boolean }) => current).user_agent, wanted)
      t.equal(events[0]?.userAgent, wanted)
    })
  }
})
