import fp from 'fastify-plugin'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'

const MAKE_ROOM_INTERVAL_MILLISECONDS = 1000
const NO_MORE_HTTP = 2 // how Node itself stops its parser, after an Upgrade

/** Pipelined requests that wait: on one connection, on all of them together (some 40 MiB), and on each whatever the others have. */
const MOST_ON_ONE = 128
const MOST_ON_ALL = 8192
const ALWAYS_ALLOWED = 8

/**
 * Bounds what clients can make the service hold: how many connections there are, of one client and of all, and how many
 * pipelined requests wait for the answers before theirs. A connection with such requests is not read until they are
 * answered. One that has brought too many in a single piece is closed.
 */
const connections: FastifyPluginAsync = async (fastify) => {
  const { clientAddresses: { isGateway }, config: { maxConnections }, fairShares, log, problem, server } = fastify
  const places = fairShares(maxConnections)
  const waitingOn = new WeakMap<Socket, number>()
  let waiting = 0
  let madeRoomAt = -Infinity

  /** Closes idle connections, once a second at most: looking for them takes time. */
  function makeRoom () {
    const time = performance.now()
    if (time - madeRoomAt < MAKE_ROOM_INTERVAL_MILLISECONDS) return
    madeRoomAt = time
    log.warn({ event: 'too_many_connections', connections: places.taken() }, 'more connections than MAX_CONNECTIONS: closing the idle ones')
    server.closeIdleConnections()
  }

  function mayWait (socket: Socket): boolean {
    const here = waitingOn.get(socket) ?? 0
    return here < ALWAYS_ALLOWED || (here < MOST_ON_ONE && waiting < MOST_ON_ALL)
  }

  function addWaiting (socket: Socket, change: 1 | -1): number {
    waiting += change
    const here = (waitingOn.get(socket) ?? 0) + change
    waitingOn.set(socket, here)
    return here
  }

  /** Node resumes a socket after each request that it has read, and after each answer: pause it after that. */
  function pauseUntilAnswered (socket: Socket, response: ServerResponse) {
    addWaiting(socket, 1)
    process.nextTick(() => { if (waitingOn.get(socket) !== 0) socket.pause() })
    response.once('close', () => {
      if (addWaiting(socket, -1) === 0) socket.resume()
      else socket.pause()
    })
  }

  // A gateway's connections are those of many clients: no share bounds them.
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    const leave = places.take(isGateway(remoteAddress) ? undefined : remoteAddress)
    if (leave) return socket.once('close', leave)
    if (places.taken() >= maxConnections) makeRoom()
    server.emit('clientError', problem('overloaded'), socket)
  })

  fastify.addHook('onRequest', ({ raw: { socket } }, { raw: response }, done) => {
    if (socket.writableEnded) return // refused already: nothing that it asks for may happen
    if (response.socket) return done() // no answer is before this one
    if (!mayWait(socket)) return hangUp(socket)
    pauseUntilAnswered(socket, response)
    done()
  })
}

/**
 * Closes a connection and leaves the rest of what it brought unread: one read holds up to 1,500 requests. Node has no
 * documented way to stop its parser. Without this the hostility test needs 1,386 MiB instead of 459. If Node changes it,
 * the rest is parsed, and not answered.
 */
function hangUp (socket: Socket & { parser?: { onIncoming: () => number } }) {
  if (socket.parser) socket.parser.onIncoming = () => NO_MORE_HTTP
  socket.destroy()
}

export default fp(connections, { name: 'connections', dependencies: ['client-addresses', 'config', 'fair-shares', 'problems'] })
