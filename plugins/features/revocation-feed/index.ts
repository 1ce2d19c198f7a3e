import { setImmediate as nextTurn } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { toEvent } from './event.ts'
import { createFollower } from './follower.ts'
import type { Readable } from 'node:stream'
import type { FastifyPluginAsync } from 'fastify'
import type { Client, Revocation } from '../../core/database.ts'
import type { Follower } from './follower.ts'

const LOOK_MILLISECONDS = 20
const CHECK_MILLISECONDS = 1000
const KEEP_ALIVE_MILLISECONDS = 15_000
const FOLLOWERS_A_TURN = 50

declare module 'fastify' {
  interface FastifyInstance { revocationFeed: RevocationFeed }
}

export interface RevocationFeed {
  /**
   * Server-sent events: the revocations after `cursor` that have not expired, and from then on every new one, by any process.
   * The stream is destroyed within a second after the client was deleted.
   */
  follow: (cursor: number, client: Client) => Readable
  /** A page of the revocations after `cursor`; `isFull` tells that there may be more. */
  page: (cursor: number) => Promise<{ revocations: Revocation[], isFull: boolean }>
}

/**
 * Sends revocations to followers, as the database tells of them: while anybody follows, it is asked every 20 ms. It sends to a
 * few followers at a time, so that no request waits for a thousand of them.
 */
const revocationFeed: FastifyPluginAsync = async (fastify) => {
  const { apiClients, blocklist, db, log } = fastify
  const followers = new Map<Follower, Client>()
  const timers: NodeJS.Timeout[] = []
  let cursor = 0
  let lastSending = Promise.resolve()

  async function send (text: string, { before = cursor, after = cursor } = {}) {
    let sent = 0
    for (const follower of [...followers.keys()]) {
      follower.send(text, before, after)
      if (++sent % FOLLOWERS_A_TURN === 0) await nextTurn()
    }
  }

  function learn (told: Revocation[]) {
    const [before, after] = [cursor, Math.max(cursor, ...told.map(({ sequence }) => sequence))]
    cursor = after
    if (after === before || followers.size === 0) return
    const text = told.filter(({ sequence }) => sequence > before).map(toEvent).join('') // after a failover all are told anew
    lastSending = lastSending.then(() => send(text, { before, after })) // one after the other, so that ids only grow
  }

  function look () {
    try {
      blocklist.revision()
    } catch (err) {
      log.error({ err }, 'the revocation feed cannot read the database, and tries again')
    }
  }

  /** Drops the followers whose client was deleted, by whichever process, or deleted and made anew. */
  async function dropDeleted () {
    try {
      const secrets = new Map((await apiClients.list()).map(({ id, secretHash }) => [id, secretHash]))
      for (const [follower, { id, secretHash }] of followers) if (secrets.get(id) !== secretHash) follower.stream.destroy()
    } catch (err) {
      log.error({ err }, 'the revocation feed cannot read the clients, and tries again')
    }
  }

  function begin () {
    timers.push(
      setInterval(look, LOOK_MILLISECONDS),
      setInterval(dropDeleted, CHECK_MILLISECONDS),
      setInterval(() => send(': still here\n\n'), KEEP_ALIVE_MILLISECONDS)
    )
  }

  function end () {
    for (const timer of timers.splice(0)) clearInterval(timer)
  }

  function follow (from: number, client: Client): Readable {
    if (followers.size === 0) begin()
    look() // so that a cursor of this moment is none of the future
    const follower = createFollower(from, { newest: () => cursor, since: db.revocations.since })
    followers.set(follower, client)
    follower.stream.once('close', () => {
      followers.delete(follower)
      if (followers.size === 0) end()
    })
    return follower.stream
  }

  async function page (cursor: number) {
    const revocations = await db.revocations.since(cursor)
    return { revocations, isFull: revocations.length === db.revocations.pageSize }
  }

  cursor = await db.revocations.last()
  db.news.follow({ revoked: learn })
  fastify.addHook('preClose', async () => {
    end()
    for (const follower of followers.keys()) follower.end()
    followers.clear()
  })
  fastify.decorate('revocationFeed', { follow, page })
}

export default fp(revocationFeed, { name: 'revocation-feed', dependencies: ['api-clients', 'blocklist', 'database'] })
