import { randomBytes } from 'node:crypto'
import { signingKeyList } from '../signing-keys.ts'
import { createChannel } from './channel.ts'
import { postgresDialect } from './dialect.ts'
import { toEngineError } from './errors.ts'
import { createFollowers } from './followers.ts'
import { createLease, moment } from './lease.ts'
import { inTime, oneAtATime } from './one-at-a-time.ts'
import { createSettling } from './settle.ts'
import { register, sync as syncStatement, toSynced, unregister } from './sync.ts'
import type { ClientConfig } from 'pg'
import type { NewsOptions } from '../news-events.ts'
import type { News } from '../news.ts'
import type { Lease } from './lease.ts'
import type { Synced } from './sync.ts'

const POLL_MILLISECONDS = 100
const FRESHEN_MILLISECONDS = 1000
const BEATS_A_LEASE = 5
const ID_BYTES = 12

/**
 * News of a PostgreSQL database. Every instance has a row in the registry, and says with every sync which revocation it knows
 * last. It says that tokens are good only within a lease from the moment at which it sent its last sync; who revokes waits
 * until every instance knows, or for a whole lease.
 */
export function postgresNews (config: ClientConfig, notify: () => Promise<unknown>, options: NewsOptions) {
  const { leaseMilliseconds, isBlindAllowed, onEvent } = options
  const id = randomBytes(ID_BYTES).toString('base64url')
  const lease: Lease = createLease(leaseMilliseconds)
  const followers = createFollowers()
  const keyList = signingKeyList(postgresDialect)
  let applied = 0
  let last: Pick<Synced, 'head' | 'keys' | 'started'> | undefined
  let timer: NodeJS.Timeout | undefined
  let state: 'new' | 'begun' | 'closed' = 'new'
  let hasLapsed = false
  let isBlind = false

  const sync = oneAtATime(() => syncOnce().catch((error) => {
    onEvent({ kind: 'failed', error })
    throw error
  }))

  const channel = createChannel(config, {
    answerMilliseconds: leaseMilliseconds / 2,
    notify,
    onNotice: () => { sync().catch(() => {}) }, // the heartbeat tries again
    onReconnect: () => settling.distrust()
  })
  const settling = createSettling({ id, leaseMilliseconds, channel, sync, head: () => last?.head ?? 0, onEvent })

  /** Tells the followers. Gives true when all is known here that the database knew. */
  async function apply ({ head, keys, started, clock, revocations, isWhole }: Synced): Promise<boolean> {
    followers.tellRevoked(revocations)
    if (keys !== last?.keys) followers.tellKeys(await channel.send(keyList, {}))
    const isLost = last !== undefined && head < last.head
    const isOther = last !== undefined && started !== last.started
    if (isLost) onEvent({ kind: 'history_lost' })
    if (isLost || isOther) readAnew()
    else applied = isWhole ? Math.max(applied, head) : revocations.at(-1)!.sequence // a page that is full has one
    last = { head, keys, started }
    onEvent({ kind: 'clock', offMilliseconds: Date.now() - clock })
    return !isLost && !isOther && isWhole
  }

  /** Another server, or a restored database, may have given numbers to other revocations than those that are known here. */
  function readAnew () {
    applied = 0
    lease.end()
    settling.distrust()
  }

  /** Asks once, and once more after news: that says that they are known here. */
  async function syncOnce () {
    for (let isNew = true; isNew;) {
      const asked = moment()
      const synced = toSynced(await channel.send(syncStatement, [applied, id, applied]))
      if (state !== 'begun') {
        last = synced
        return
      }
      const known = applied
      const isWhole = await apply(synced)
      if (!synced.isRegistered) await channel.send(register, [id, applied, leaseMilliseconds])
      else if (isWhole) lease.renew(asked)
      isNew = !synced.isRegistered || !isWhole || applied !== known
      onEvent({ kind: 'synced', milliseconds: performance.now() - asked.steady })
    }
    hasLapsed = false
    isBlind = false
  }

  async function beat () {
    await sync().catch(() => {}) // it was told to the log; the lease runs out meanwhile
    if (state === 'closed') return
    timer = setTimeout(beat, channel.isHeard() ? leaseMilliseconds / BEATS_A_LEASE : POLL_MILLISECONDS).unref()
  }

  const news: News = {
    async begin (after) {
      applied = after
      state = 'begun'
      await channel.send(register, [id, applied, leaseMilliseconds])
      onEvent({ kind: 'connected', isHeard: channel.isHeard() })
      await sync()
      await beat()
    },

    follow: followers.add,

    revision () {
      if (state === 'new') return undefined
      if (lease.isValid() || isBlind) return followers.tellings()
      if (!hasLapsed) onEvent({ kind: 'lapsed' })
      hasLapsed = true
      return undefined
    },

    async freshen () {
      try {
        await inTime(sync(), FRESHEN_MILLISECONDS)
      } catch (error) {
        if (!isBlindAllowed) throw toEngineError(error)
        if (!isBlind) onEvent({ kind: 'blind' })
        isBlind = true
      }
    }
  }

  return {
    news,
    isHeard: channel.isHeard,
    /** Resolves when no instance lets in what was revoked up to this number, given the moment at which that was committed. */
    settle: (head: number) => settling.settle(head),
    async close () {
      const isRegistered = state === 'begun'
      state = 'closed'
      clearTimeout(timer)
      lease.end() // first: after its row has gone, nobody waits for this instance
      if (isRegistered) await channel.send(unregister, [id]).catch(() => {}) // the others find out that it is silent
      await channel.close()
    }
  }
}
