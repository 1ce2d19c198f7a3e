import fp from 'fastify-plugin'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'

const ROOM_INTERVAL_MILLISECONDS = 1000

/**
 * Bounds what clients can make the service hold: how many connections there are, and how many requests wait on one of
 * them. A connection on which answers are waiting for the answer before theirs is not read until they are written.
 */
const connections: FastifyPluginAsync = async (fastify) => {
  const { config: { maxConnections }, log, problem, server } = fastify
  const waiting = new WeakMap<Socket, number>()
  let count = 0
  let madeRoomAt = -Infinity

  /** Those that are idle make room for who comes next, once a second at the most: to look for them takes its time. */
  function makeRoom () {
    const time = performance.now()
    if (time - madeRoomAt < ROOM_INTERVAL_MILLISECONDS) return
    madeRoomAt = time
    log.warn({ event: 'too_many_connections', connections: count }, 'more connections than MAX_CONNECTIONS: the idle ones are closed')
    server.closeIdleConnections()
  }

  server.on('connection', (socket: Socket) => {
    count++
    socket.once('close', () => { count-- })
    if (count <= maxConnections) return
    makeRoom()
    server.emit('clientError', problem('overloaded'), socket)
  })

  fastify.addHook('onRequest', ({ raw: { socket } }, { raw: response }, done) => {
    if (socket.writableEnded) return // refused already: nothing that it asks for may happen
    if (!response.socket) pauseUntilClosed(socket, response) // an answer before this one is still to be written
    done()
  })

  function pauseUntilClosed (socket: Socket, response: ServerResponse) {
    waiting.set(socket, (waiting.get(socket) ?? 0) + 1)
    socket.pause()
    response.once('close', () => {
      const left = waiting.get(socket)! - 1 // it was set above
      waiting.set(socket, left)
      if (left === 0) socket.resume()
    })
  }
}

export default fp(connections, { name: 'connections', dependencies: ['config', 'errors', 'problem', 'request-id', 'security-headers'] })
