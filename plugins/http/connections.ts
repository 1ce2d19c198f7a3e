import fp from 'fastify-plugin'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'

const MAKE_ROOM_INTERVAL_MILLISECONDS = 1000

/** On all connections together, some 60 MiB. One read of one connection brings up to 1,500 requests. */
const MOST_WAITING = 8192

/**
 * Bounds what clients can make the service hold: how many connections there are, and how many pipelined requests wait for
 * the answers before theirs. A connection with such requests is not read until they are answered; when too many wait on
 * all connections together, it is closed.
 */
const connections: FastifyPluginAsync = async (fastify) => {
  const { config: { maxConnections }, log, problem, server } = fastify
  const waitingOf = new WeakMap<Socket, number>()
  let waiting = 0
  let count = 0
  let madeRoomAt = -Infinity

  /** Closes idle connections, once a second at most: looking for them takes time. */
  function makeRoom () {
    const time = performance.now()
    if (time - madeRoomAt < MAKE_ROOM_INTERVAL_MILLISECONDS) return
    madeRoomAt = time
    log.warn({ event: 'too_many_connections', connections: count }, 'more connections than MAX_CONNECTIONS: closing the idle ones')
    server.closeIdleConnections()
  }

  function addWaiting (socket: Socket, change: 1 | -1): number {
    waiting += change
    const left = (waitingOf.get(socket) ?? 0) + change
    waitingOf.set(socket, left)
    return left
  }

  function pauseUntilAnswered (socket: Socket, response: ServerResponse) {
    addWaiting(socket, 1)
    socket.pause()
    response.once('close', () => { if (addWaiting(socket, -1) === 0) socket.resume() })
  }

  server.on('connection', (socket: Socket) => {
    count++
    socket.once('close', () => { count-- })
    if (count <= maxConnections) return
    makeRoom()
    server.emit('clientError', problem('overloaded'), socket)
  })

  fastify.addHook('onRequest', ({ raw: { socket } }, { raw: response }, done) => {
    if (socket.writableEnded || socket.destroyed) return // refused already: nothing that it asks for may happen
    const isPipelined = !response.socket // an earlier answer is still to be written
    if (isPipelined && waiting >= MOST_WAITING) return socket.destroy()
    if (isPipelined) pauseUntilAnswered(socket, response)
    done()
  })
}

export default fp(connections, { name: 'connections' })
