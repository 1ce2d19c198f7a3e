import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { options } from '../../../app.ts'
import { build, converse } from '../../helper.ts'
import type { AddressInfo } from 'node:net'

t.test('A connection', async (t) => {
  const server = await build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })

  for (const [name, request, status, code] of [
    ['that carries no HTTP', 'NONSENSE', '400 Bad Request', 'bad_request'],
    ['with two lengths', 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6', '400 Bad Request', 'bad_request'],
    ['with a length and chunks', 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked', '400 Bad Request', 'bad_request'],
    ['whose headers are too large', `GET /secret HTTP/1.1\r\nHost: localhost\r\nCookie: ${'x'.repeat(20_000)}`, '431 Request Header Fields Too Large', 'headers_too_large']
  ] as const) {
    t.test(`${name} is answered with a problem and closed`, async (t) => {
      const answer = await converse(server, request)

      const [head = '', body = ''] = answer.split('\r\n\r\n')
      t.ok(head.startsWith(`HTTP/1.1 ${status}\r\n`), head)
      t.match(head, /\r\ncontent-type: application\/problem\+json\r\n/)
      t.match(head, /\r\nconnection: close/)
      t.match(JSON.parse(body), { status: Number.parseInt(status), code })
    })
  }

  t.test('that is refused gets the headers of every other answer', async (t) => {
    const { headers } = await server.inject({ url: '/nowhere' })

    const answer = await converse(server, 'NONSENSE')

    for (const name of Object.keys(server.securityHeaders)) t.ok(answer.includes(`\r\n${name}: ${headers[name]}\r\n`), name)
    t.match(answer, /\r\nx-request-id: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\r\n/)
    t.notMatch(answer, /retry-after/i)
  })

  t.test('whose request takes too long is answered with a problem and closed', async (t) => {
    const impatient = Fastify({ ...options(), http: { headersTimeout: 50, connectionsCheckingInterval: 10 } })
    t.teardown(() => impatient.close())
    await impatient.listen({ host: '127.0.0.1', port: 0 })
    const socket = connect((impatient.server.address() as AddressInfo).port, '127.0.0.1') // it listens on a port

    socket.write('GET / HTTP/1.1\r\n')
    const [answer] = await once(socket.setEncoding('utf8'), 'data')

    t.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    t.match(answer, '"code":"request_timeout"')
  })

  t.test('that the client resets is closed, and the service goes on', async (t) => {
    const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1') // it listens on a port
    socket.write('POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{')
    await once(server.server, 'request')

    socket.resetAndDestroy()
    const [error, theirs] = await once(server.server, 'clientError')

    t.equal(error.code, 'ECONNRESET')
    t.equal(theirs.destroyed, true)
    t.equal((await server.inject({ url: '/health/live' })).statusCode, 200)
  })
})
