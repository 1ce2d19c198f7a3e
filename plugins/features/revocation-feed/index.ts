import { setImmediate as nextTurn } from 'node:timers/promises'
import { Readable } from 'node:stream'
import fp from 'fastify-plugin'
import { toEvent } from './event.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Revocation } from '../../core/database.ts'

const LOOK_MILLISECONDS = 20
const KEEP_ALIVE_MILLISECONDS = 15_000
const FOLLOWERS_A_TURN = 50
const MOST_UNREAD_BYTES = 4 << 20

declare module 'fastify' {
  interface FastifyInstance { revocationFeed: RevocationFeed }
}

export interface RevocationFeed {
  /** Server-sent events: the revocations after `cursor` that have not expired, and from then on every new one, by any process. */
  follow: (cursor: number) => Readable
  /** A page of the revocations after `cursor`; `isFull` tells that there may be more. */
  page: (cursor: number) => { revocations: Revocation[], isFull: boolean }
}

/**
 * Sends revocations to followers. While anybody follows, one look at the database every 20 ms serves all of them. It sends
 * to a few followers at a time, so that no request waits for a thousand of them.
 */
const revocationFeed: FastifyPluginAsync = async (fastify) => {
  const { db, log } = fastify
  const followers = new Set<Readable>()
  let cursor = 0
  let lastSending = Promise.resolve()
  let lookTimer: NodeJS.Timeout | undefined
  let keepAliveTimer: NodeJS.Timeout | undefined

  async function send (text: string, all: Readable[]) {
    let sent = 0
    for (const follower of all) {
      if (!followers.has(follower)) continue // it has gone meanwhile
      if (follower.readableLength > MOST_UNREAD_BYTES) follower.destroy() // it does not read, and may come back with its last id
      else follower.push(text)
      if (++sent % FOLLOWERS_A_TURN === 0) await nextTurn()
    }
  }

  function look () {
    try {
      const news = db.revocations.since(cursor)
      cursor = news.at(-1)?.sequence ?? cursor
      const all = [...followers] // `follow` sends these to followers that come later
      const text = news.map(toEvent).join('')
      if (news.length > 0) lastSending = lastSending.then(() => send(text, all)) // one after the other, so that ids only grow
    } catch (err) {
      log.error({ err }, 'the revocation feed cannot read the database, and tries again')
    }
  }

  function begin () {
    lookTimer = setInterval(look, LOOK_MILLISECONDS)
    keepAliveTimer = setInterval(() => send(': still here\n\n', [...followers]), KEEP_ALIVE_MILLISECONDS)
  }

  function end () {
    clearInterval(lookTimer)
    clearInterval(keepAliveTimer)
  }

  function follow (from: number): Readable {
    look() // so that all who follow already are at the same place
    const follower = new Readable({ read () {}, highWaterMark: MOST_UNREAD_BYTES })
    follower.push(': every revocation from now on\n\n')
    for (let at = from; at < cursor;) {
      const page = db.revocations.since(at)
      follower.push(page.map(toEvent).join(''))
      at = page.at(-1)?.sequence ?? cursor
    }
    if (followers.size === 0) begin()
    followers.add(follower)
    follower.once('close', () => {
      followers.delete(follower)
      if (followers.size === 0) end()
    })
    return follower
  }

  function page (cursor: number) {
    const revocations = db.revocations.since(cursor)
    return { revocations, isFull: revocations.length === db.revocations.pageSize }
  }

  fastify.addHook('preClose', async () => {
    end()
    for (const follower of followers) follower.push(null)
    followers.clear()
  })
  fastify.decorate('revocationFeed', { follow, page })
}

export default fp(revocationFeed, { name: 'revocation-feed', dependencies: ['api-clients', 'database'] })
