import { Readable } from 'node:stream'
import { toEvent } from './event.ts'
import type { Revocation } from '../../core/database.ts'

interface Source {
  /** The sequence of the newest revocation that was sent to all. */
  newest: () => number
  /** A page of the revocations after a sequence. */
  since: (sequence: number) => Promise<Revocation[]>
}

export interface Follower {
  /** Server-sent events. It asks for a page when the one before was read: who does not read holds one page in memory. */
  stream: Readable
  /** Sends the events after `before`, up to `after`, to a follower that has read all; one that has not will find them itself. */
  send: (text: string, before: number, after: number) => void
  end: () => void
}

export function createFollower (from: number, { newest, since }: Source): Follower {
  let at = Math.min(from, newest()) // a cursor may be of a database that is no more
  let isWaiting = false
  let isOver = false

  function push (text: string, after: number) {
    at = after
    isWaiting = false // until it has read that
    if (!isOver) stream.push(text) // it may have ended while the page was read
  }

  /** In a turn of its own, so that nobody else waits while it reads a million of them. */
  async function fill () {
    if (stream.destroyed || isOver) return
    isWaiting = false // one page is read at a time
    try {
      while (at < newest()) {
        const end = newest() // as it is before the question: what comes meanwhile may not be in the answer
        const page = await since(at)
        const last = page.at(-1)
        if (last) return push(page.map(toEvent).join(''), last.sequence)
        at = end // what was there has expired
      }
      isWaiting = true
    } catch (err) {
      stream.destroy(err as Error) // the database's; the client comes back with its last id
    }
  }

  function send (text: string, before: number, after: number) {
    if (!isWaiting) return
    if (at === before) push(text, after)
    else fill()
  }

  function end () {
    isOver = true
    stream.push(null)
  }

  const stream = new Readable({ read: () => { setImmediate(fill) } })
  stream.push(': every revocation from now on\n\n')
  return { stream, send, end }
}
