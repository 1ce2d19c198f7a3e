import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { build, converse, createLog } from '../../helper.ts'
import type { AddressInfo, Socket } from 'node:net'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Test } from 'tap'

const LIVE = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'

t.test('One connection more than MAX_CONNECTIONS', async (t) => {
  let count = 0
  const { lines, logger } = createLog()
  const routes: FastifyPluginAsync = async (fastify) => {
    fastify.get('/count', async () => ++count)
  }
  const server = await build(t, { env: { MAX_CONNECTIONS: '2', TRUST_PROXY: '127.0.0.1', DOCS: 'off' }, routes, logger })
  await server.listen({ host: '127.0.0.1', port: 0 })

  t.test('closes the idle ones, and finds room when it comes back', async (t) => {
    const idle = [open(t, server), open(t, server)]
    for (const socket of idle) {
      socket.write(LIVE)
      await once(socket, 'data')
    }
    const closed = Promise.all(idle.map((socket) => once(socket, 'close')))

    while (/^HTTP\/1\.1 503/.test(await converse(server, LIVE.replace('\r\n\r\n', '\r\nConnection: close')))) continue

    await closed
    t.match(lines.find(({ event }) => event === 'too_many_connections'), { level: 40, connections: 2 })
  })

  t.test('gets 503 with Retry-After, and nothing that it asks for happens', async (t) => {
    const busy = [open(t, server), open(t, server)]
    for (const socket of busy) await arrived(server, socket, LIVE.slice(0, -2))

    for (let i = 0; i < 2; i++) {
      const connection: Promise<Socket[]> = once(server.server, 'connection')
      const text = await converse(server, 'GET /count HTTP/1.1', 'Host: localhost')
      const [socket] = await connection
      t.equal(socket?.timeout, 1000, 'it is not kept for longer')
      t.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\n/)
      t.match(text, '\r\nretry-after: 1\r\n')
      t.match(text, '"code":"overloaded"')
    }
    for (const socket of busy) socket.destroy()
    while (await connectionsOf(server) > 0) await nextTurn()
    t.equal(count, 0)
  })
})

t.test('A client that opens as many connections as there may be', async (t) => {
  const HALF = 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{'

  /** The status that somebody at this address gets on a new connection. */
  async function statusFrom (t: Test, server: FastifyInstance, localAddress: string, headers = '') {
    const socket = open(t, server, localAddress)
    socket.write(`POST /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n${headers}\r\n{}`)
    return Number((await text(socket)).slice(9, 12))
  }

  async function buildSmall (t: Test, env: Record<string, string> = {}) {
    const server = await build(t, { env: { MAX_CONNECTIONS: '30', RATE_LIMIT: 'on', DOCS: 'off', ...env } })
    await server.listen({ host: '127.0.0.1', port: 0 })
    return server
  }

  t.test('gets a third of them, and others find room', async (t) => {
    const server = await buildSmall(t)
    for (let i = 0; i < 50; i++) open(t, server, '127.0.0.2').write(HALF)
    while (await connectionsOf(server) < 10) await nextTurn()

    t.equal(await statusFrom(t, server, '127.0.0.2'), 503)
    for (const other of ['127.0.0.3', '127.0.0.4', '127.0.0.3']) t.equal(await statusFrom(t, server, other), 404)
  })

  t.test('gets them all where RATE_LIMIT is off', async (t) => {
    const server = await buildSmall(t, { RATE_LIMIT: 'off' })
    for (let i = 0; i < 30; i++) open(t, server, '127.0.0.2').write(HALF)
    while (await connectionsOf(server) < 30) await nextTurn()

    t.equal(await statusFrom(t, server, '127.0.0.3'), 503)
  })

  t.test('and holds its bodies back gets a third, too, where a gateway is between', async (t) => {
    const server = await buildSmall(t, { TRUST_PROXY: '127.0.0.1' })
    const late = HALF.replace('\r\n', '\r\nX-Forwarded-For: 192.0.2.1\r\n')
    const held = Array.from({ length: 12 }, () => open(t, server))
    for (const socket of held) socket.write(late)

    while (await statusFrom(t, server, '127.0.0.1', 'X-Forwarded-For: 192.0.2.1\r\n') !== 503) await nextTurn()
    t.equal(await statusFrom(t, server, '127.0.0.1', 'X-Forwarded-For: 192.0.2.2\r\n'), 404)
    for (const socket of held) socket.destroy()
    while (await connectionsOf(server) > 0) await nextTurn()
    t.equal(await statusFrom(t, server, '127.0.0.1', 'X-Forwarded-For: 192.0.2.1\r\n'), 404, 'it has given them back')
  })
})

t.test('Requests that wait on one connection for the answer before theirs', async (t) => {
  const request = (url: string, close = '') => `GET ${url} HTTP/1.1\r\nHost: localhost\r\n${close}\r\n`

  /** A server with a route that answers late, and what it has handled. */
  async function buildSlow (t: Test) {
    const late = Promise.withResolvers<string>()
    const seen = { handled: 0, read: 0 }
    const routes: FastifyPluginAsync = async (fastify) => {
      fastify.get('/slow', () => late.promise)
      fastify.get('/quick', async () => ++seen.handled)
    }
    const server = await build(t, { env: { DOCS: 'off' }, routes })
    await server.listen({ host: '127.0.0.1', port: 0 })
    server.server.on('request', () => { seen.read++ })
    return { server, seen, answer: () => late.resolve('at last') }
  }

  function listen (socket: Socket) {
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
    return async (count: number) => {
      while ((text.match(/HTTP\/1\.1 200 OK\r\n/g)?.length ?? 0) < count) await once(socket, 'data')
    }
  }

  t.test('are all answered, and the connection is not read meanwhile', async (t) => {
    const { server, seen, answer } = await buildSlow(t)
    const socket = open(t, server)
    const answers = listen(socket)

    socket.write(request('/slow') + request('/quick').repeat(100))
    while (seen.read < 101) await nextTurn()
    socket.write(request('/quick').repeat(100))
    for (let turn = 0; turn < 100; turn++) await nextTurn()
    t.equal(seen.read, 101)

    answer()
    await answers(201)
    t.equal(seen.handled, 200)
  })

  t.test('are at most 128: a connection that brings more is closed, and the rest is not read', async (t) => {
    const { server, seen } = await buildSlow(t)
    const socket = open(t, server)

    socket.write(request('/slow') + request('/quick').repeat(1000))
    await once(socket.resume(), 'close')

    t.same(seen, { handled: 128, read: 130 })
  })

  t.test('are at most 8,192 on all connections, but for eight on each', async (t) => {
    const { server, seen, answer } = await buildSlow(t)
    const sockets = Array.from({ length: 100 }, () => open(t, server).resume())
    for (const socket of sockets) socket.write(request('/slow') + request('/quick').repeat(100))
    await Promise.race(sockets.map((socket) => once(socket, 'close')))

    const late = open(t, server)
    const answers = listen(late)
    late.write(request('/quick').repeat(8))
    await answers(8)

    t.ok(seen.handled < 100 * 100, `${seen.handled} were handled`)
    answer()
  })
})

function connectionsOf (server: FastifyInstance): Promise<number> {
  return new Promise((resolve) => { server.server.getConnections((_error, count) => resolve(count)) })
}

/** A connection that may fail: it is there to be refused. */
function open (t: Test, server: FastifyInstance, localAddress = '127.0.0.1'): Socket {
  const { port } = server.server.address() as AddressInfo // it listens on a port
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {})
  t.teardown(() => socket.destroy())
  return socket
}

/** Waits until the service has the connection; what was sent is no whole request. */
async function arrived (server: FastifyInstance, socket: Socket, text: string) {
  const accepted = once(server.server, 'connection')
  socket.write(text)
  await accepted
}
