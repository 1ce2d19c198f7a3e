import { setImmediate as nextTurn } from 'node:timers/promises'
import { Readable } from 'node:stream'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'
import type { Revocation } from './db.ts'

const LOOK_MILLISECONDS = 20
const KEEP_ALIVE_MILLISECONDS = 15_000
const FOLLOWERS_A_TURN = 50
const MOST_UNREAD_BYTES = 4 << 20

declare module 'fastify' {
  interface FastifyInstance { revocationFeed: RevocationFeed }
}

export interface RevocationFeed {
  /** Server-sent events: what was revoked after `cursor` and still matters, and from then on whatever is, by any process. */
  follow: (cursor: number) => Readable
}

/**
 * Tells followers what is revoked. One look at the database every 20 ms, while anybody follows, serves all of them;
 * they are told a few at a time, so that nobody's request waits for a thousand of them.
 */
const revocationFeed: FastifyPluginAsync = async (fastify) => {
  const { db, log } = fastify
  const followers = new Set<Readable>()
  let cursor = 0
  let telling = Promise.resolve()
  let looking: NodeJS.Timeout | undefined
  let keepingAlive: NodeJS.Timeout | undefined

  async function tell (text: string, all: Readable[]) {
    let told = 0
    for (const follower of all) {
      if (!followers.has(follower)) continue // it has gone meanwhile
      if (follower.readableLength > MOST_UNREAD_BYTES) follower.destroy() // it does not read; it may come back with its last id
      else follower.push(text)
      if (++told % FOLLOWERS_A_TURN === 0) await nextTurn()
    }
  }

  function look () {
    try {
      const news = db.revocations.since(cursor)
      cursor = news.at(-1)?.sequence ?? cursor
      const all = [...followers] // who comes later is told of these by `follow`
      if (news.length > 0) telling = telling.then(() => tell(news.map(toEvent).join(''), all)) // one after the other, so that ids only grow
    } catch (err) {
      log.error({ err }, 'the feed cannot see what is revoked, and looks again')
    }
  }

  function begin () {
    looking = setInterval(look, LOOK_MILLISECONDS)
    keepingAlive = setInterval(() => tell(': still here\n\n', [...followers]), KEEP_ALIVE_MILLISECONDS)
  }

  function end () {
    clearInterval(looking)
    clearInterval(keepingAlive)
  }

  fastify.decorate('revocationFeed', {
    follow (from) {
      look() // so that all who follow already are at the same place
      const follower = new Readable({ read () {}, highWaterMark: MOST_UNREAD_BYTES })
      follower.push(': what is revoked, from now on\n\n')
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
  })

  fastify.addHook('preClose', async () => {
    end()
    for (const follower of followers) follower.push(null)
    followers.clear()
  })
}

function toEvent ({ sequence, kind, revokedId, until }: Revocation): string {
  return `id: ${sequence}\nevent: revoked\ndata: ${JSON.stringify({ kind, id: revokedId, until: new Date(until).toISOString() })}\n\n`
}

export default fp(revocationFeed, { name: 'revocation-feed', dependencies: ['db'] })
