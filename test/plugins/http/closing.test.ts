import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { build } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { AddressInfo } from 'node:net'

t.test('A server that closes', async (t) => {
  const isAsked = Promise.withResolvers<void>()
  const isAllowed = Promise.withResolvers<string>()
  const isClosing = Promise.withResolvers<void>()
  const routes: FastifyPluginAsync = async (fastify) => {
    fastify.get('/slow', () => {
      isAsked.resolve()
      return isAllowed.promise
    })
    fastify.addHook('preClose', async () => isClosing.resolve())
  }
  const server = await build(t, { routes })
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo // it listens on a port
  const [early, late] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  const request = (url: string) => `GET ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n`

  const answers = [text(early), text(late)]
  early.write(`${request('/slow')}\r\n`)
  late.write(request('/health/live'))
  await Promise.all([isAsked.promise, once(late, 'connect')])
  const closed = server.close()
  await isClosing.promise
  late.write('\r\n')
  const refused = await answers[1]
  isAllowed.resolve('done at last')
  const finished = await answers[0]

  t.test('finishes what is under way, and then lets go of the connection', async (t) => {
    t.match(finished, /^HTTP\/1\.1 200 OK\r\n/)
    t.match(finished, /\r\nconnection: close\r\n/i)
    t.match(finished, /\r\n\r\ndone at last$/)
  })

  t.test('refuses what comes on an open connection, in the shape of every other refusal', async (t) => {
    t.match(refused, /^HTTP\/1\.1 503 Service Unavailable\r\n/)
    t.match(refused, /\r\nconnection: close\r\n/i)
    t.match(refused, /\r\ncontent-type: application\/problem\+json/i)
    t.match(refused, /\r\nx-content-type-options: nosniff\r\n/i)
    t.match(refused, '"code":"shutting_down"')
  })

  t.test('is closed as soon as that is done', async (t) => {
    await closed

    t.equal(server.server.listening, false)
    await t.rejects(fetch(`http://127.0.0.1:${port}/health/live`))
  })
})
