import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { freePort } from '../postgres/free-port.ts'
import type { Scope } from '../postgres/programs.ts'
import type { Server, Socket } from 'node:net'

/** The way that still passes while a connection is half open. */
export type Direction = 'to server' | 'to client'

export type Proxy = Awaited<ReturnType<typeof startProxy>>

const NOTHING: Direction[] = []
const EVERYTHING: Direction[] = ['to server', 'to client']

/** One connection, one way: bytes, and their end. While it is closed they wait, and neither side learns anything. */
function createLane (direction: Direction, from: Socket, to: Socket) {
  let waiting: Array<() => void> = []
  let isOpen = false

  function pass (action: () => void) {
    if (isOpen) action()
    else waiting.push(action)
  }

  from.on('error', () => {}) // which `close` follows
  from.on('data', (bytes) => pass(() => to.write(bytes)))
  from.once('end', () => pass(() => to.end()))
  from.once('close', () => pass(() => to.destroySoon()))

  return {
    set (open: Direction[]) {
      isOpen = open.includes(direction)
      if (!isOpen) return
      const passing = waiting
      waiting = []
      for (const action of passing) action()
    },

    cut () {
      waiting = []
      from.destroy()
    }
  }
}

/** A TCP proxy of 127.0.0.1, in this process, that does to connections what networks do to them. */
export async function startProxy (t: Scope, target: { port: number }) {
  const port = await freePort()
  const lanes = new Set<ReturnType<typeof createLane>>()
  let targetPort = target.port
  let open = EVERYTHING
  let listener: Server | undefined

  function accept (client: Socket) {
    const server = connect({ port: targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    const pair = [createLane('to server', client, server), createLane('to client', server, client)]
    for (const lane of pair) {
      lanes.add(lane)
      lane.set(open)
    }
    Promise.allSettled([once(client, 'close'), once(server, 'close')]).then(() => { for (const lane of pair) lanes.delete(lane) })
  }

  async function listen () {
    listener = createServer({ noDelay: true, allowHalfOpen: true }, accept).listen(port, '127.0.0.1')
    await once(listener, 'listening')
  }

  function cut () {
    for (const lane of lanes) lane.cut()
  }

  function set (directions: Direction[]) {
    open = directions
    for (const lane of lanes) lane.set(open)
  }

  await listen()
  t.teardown(() => {
    cut()
    listener?.close()
  })

  return {
    port,

    /** Ends all connections. New ones may come. */
    cut,

    /** Nothing passes and nothing closes, of new connections neither, until `resume`. */
    stall: () => set(NOTHING),

    /** Passes one way alone, until `resume`. */
    halfOpen: (direction: Direction) => set([direction]),

    /** Ends all connections, and refuses new ones until `resume`. */
    refuse () {
      listener?.close()
      listener = undefined
      cut()
    },

    /** Undoes `stall`, `halfOpen` and `refuse`. */
    async resume () {
      set(EVERYTHING)
      if (!listener) await listen()
    },

    /** Ends all connections; new ones go to another server. */
    switchTo (server: { port: number }) {
      targetPort = server.port
      cut()
    }
  }
}
