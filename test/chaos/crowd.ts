import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

const AT_A_TIME = 250

/** Many raw connections to one service. */
export function createCrowd (address: string) {
  const { hostname, port } = new URL(address)
  const counts = new Map<string, number>()
  const members: Array<Awaited<ReturnType<typeof enter>>> = []

  async function enter (text: string, reads: boolean, localAddress?: string) {
    const socket = connect({ port: Number(port), host: hostname, localAddress }).on('error', () => {}) // it is there to be cut off
    const closed = new Promise<void>((resolve) => { socket.once('close', () => resolve()) })
    let heard: (text: string) => void = () => {}
    if (reads) {
      socket.setEncoding('latin1').on('data', (text: string) => {
        const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]
        if (status) counts.set(status, (counts.get(status) ?? 0) + 1)
        heard(text)
      })
    }
    await Promise.race([new Promise((resolve) => { socket.once('connect', resolve) }), closed])
    if (text) socket.write(text)

    return {
      socket,

      /** Sends a request, and gives the answer. */
      async ask (request: string) {
        const sentAt = performance.now()
        const answer = new Promise<string>((resolve) => { heard = resolve })
        socket.write(request)
        const text = await Promise.race([answer, closed.then(() => '')])
        return { status: Number(text.slice(9, 12)), text, milliseconds: performance.now() - sentAt }
      },

      /** Sends as much as is taken, up to `most` bytes; gives how many that were. */
      async pour (chunk: Buffer, most: number) {
        while (!socket.closed && socket.bytesWritten < most) {
          if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => { socket.once('drain', resolve) }), closed])
        }
        return socket.bytesWritten
      }
    }
  }

  return {
    /** Opens connections, from an address of this machine, each of which sends this at once. */
    async come (count: number, text = '', { reads = true, from }: { reads?: boolean, from?: string } = {}) {
      const come: typeof members = []
      while (come.length < count) {
        const group = Array.from({ length: Math.min(AT_A_TIME, count - come.length) }, () => enter(text, reads, from))
        come.push(...await Promise.all(group))
      }
      members.push(...come)
      return come
    },

    /** Waits until the service has closed all of them, doing something once a second; gives how many seconds that took. */
    async untilGone (mostSeconds: number, meanwhile = () => {}) {
      const startedAt = performance.now()
      const seconds = () => (performance.now() - startedAt) / 1000
      while (members.some(({ socket }) => !socket.closed)) {
        if (seconds() > mostSeconds) throw new Error(`${members.filter(({ socket }) => !socket.closed).length} connections are still open after ${mostSeconds} s`)
        meanwhile()
        await wait(1000)
      }
      return Math.round(seconds())
    },

    /** How often which status was answered. */
    statuses: () => [...counts].sort().map(([status, count]) => `${count} × ${status}`).join(', ') || 'no answer',

    leave () {
      for (const { socket } of members) socket.destroy()
    }
  }
}
