import fp from 'fastify-plugin'
import type { Socket } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'

const ROOM_INTERVAL_MILLISECONDS = 1000
const MOST_WAITING = 8
const NO_MORE_HTTP = 2 // how Node itself tells its parser to stop, after an Upgrade

/**
 * Bounds what clients can make the service hold: how many connections there are, and how many requests wait on one of
 * them for the answers before theirs. Who reads no answers could otherwise fill the memory with them.
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
    if (response.socket) return done() // no answer is before this one

    const ahead = waiting.get(socket) ?? 0
    if (ahead >= MOST_WAITING) return hangUp(socket)
    waiting.set(socket, ahead + 1)
    response.once('close', () => waiting.set(socket, waiting.get(socket)! - 1)) // it was set above
    done()
  })
}

/**
 * Ends a connection, and reads no more requests from it: up to two thousand of them can be there already, in one piece.
 * Node has no documented way to leave them unread. Where it changes, each is made a request once more, and not answered either.
 */
function hangUp (socket: Socket & { parser?: { onIncoming: () => number } }) {
  if (socket.parser) socket.parser.onIncoming = () => NO_MORE_HTTP
  socket.destroy()
}

export default fp(connections, { name: 'connections', dependencies: ['config', 'errors', 'problem', 'request-id', 'security-headers'] })
