import { hash } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

const ID_BYTES = 16
const ID = /^[\w-]{21}[AQgw]$/ // so many bytes in base64url
const LATEST = 2 ** 32 - 1 // in seconds: the year 2106
const WORDS = ID_BYTES / Uint32Array.BYTES_PER_ELEMENT
const FEWEST_SLOTS = 1024

declare module 'fastify' {
  interface FastifyInstance { blocklist: Blocklist }
}

export interface Blocklist {
  /**
   * Whether this token (`jti`), session (`sid`) or key (`kid`) was revoked, by this process or any other.
   * Throws SQLite's error when the database does not answer: what cannot be checked is not good.
   */
  has: (id: string) => boolean
  /** Grows with every revocation: what was not revoked is not until this has grown. Throws as `has` does. */
  revision: () => number
  /** Forgets what has expired, in memory and on disk. */
  prune: () => Promise<void>
}

/**
 * Remembers what was revoked for as long as it would otherwise have been good: an index in memory over the
 * `revocations` table, which is where revocations are made. It reads what is new there before the first answer
 * after something was written, by whichever process: `db.revision` tells.
 */
const blocklist: FastifyPluginAsync = async (fastify) => {
  const { db, now } = fastify
  const revoked = revokedIds()
  let lastSequence = 0
  let lastRevision = -1

  function revision (): number {
    const revision = db.revision()
    if (revision !== lastRevision) catchUp(revision)
    return lastSequence
  }

  function catchUp (revision: number) {
    let page
    do {
      page = db.revocations.since(lastSequence)
      for (const { revokedId, until } of page) revoked.add(revokedId, until)
      lastSequence = page.at(-1)?.sequence ?? lastSequence
    } while (page.length === db.revocations.pageSize)
    lastRevision = revision
  }

  revision() // a million of them take a second: now, not while somebody waits

  fastify.decorate('blocklist', {
    revision,

    has (id) {
      revision()
      return revoked.has(id)
    },

    async prune () {
      const time = now()
      revoked.prune(time)
      await db.revocations.prune(time)
    }
  })
}

/**
 * Ids, and until when each is revoked: 20 bytes a slot, of which half are free at least. A `Map` of texts takes twice
 * as much, and the garbage collector has to go through all of it. Of an id, which is 128 random bits in base64url, the
 * bits are kept; of what is none, such as the `kid` of a key, the first bits of its hash.
 */
function revokedIds () {
  const bytes = Buffer.alloc(ID_BYTES)
  const id = new Uint32Array(bytes.buffer, bytes.byteOffset, WORDS)
  let ids = new Uint32Array(FEWEST_SLOTS * WORDS)
  let times = new Uint32Array(FEWEST_SLOTS) // in seconds; a slot without one is free
  let count = 0

  function read (text: string) {
    if (ID.test(text)) bytes.write(text, 'base64url')
    else bytes.set(hash('sha256', text, 'buffer').subarray(0, ID_BYTES))
  }

  /** Where `id` is, or belongs: the first slot is as random as ids are. */
  function slot (): number {
    const last = times.length - 1
    let slot = id[0]! & last
    while (times[slot] !== 0 && !isAt(slot)) slot = (slot + 1) & last
    return slot
  }

  function isAt (slot: number): boolean {
    const at = slot * WORDS
    return ids[at] === id[0] && ids[at + 1] === id[1] && ids[at + 2] === id[2] && ids[at + 3] === id[3]
  }

  function put (until: number) {
    const at = slot()
    if (times[at] === 0) count++
    ids.set(id, at * WORDS)
    times[at] = until
  }

  /** Moves what is still revoked at a time to twice as many slots, and more, as it needs. */
  function move (live: number, time: number) {
    const [oldIds, oldTimes] = [ids, times]
    const slots = Math.max(FEWEST_SLOTS, 2 ** Math.ceil(Math.log2(live * 2 + 2)))
    ids = new Uint32Array(slots * WORDS)
    times = new Uint32Array(slots)
    count = 0
    for (let old = 0; old < oldTimes.length; old++) {
      if (oldTimes[old]! <= time) continue
      for (let word = 0; word < WORDS; word++) id[word] = oldIds[old * WORDS + word]!
      put(oldTimes[old]!)
    }
  }

  return {
    has (text: string): boolean {
      read(text)
      return times[slot()] !== 0
    },

    /** Times in milliseconds. */
    add (text: string, until: number) {
      read(text)
      put(Math.min(Math.max(1, Math.ceil(until / 1000)), LATEST))
      if (count * 2 > times.length) move(count, 0)
    },

    /** Forgets what has expired, as soon as that is a quarter of all: a token that has expired opens nothing anyway. */
    prune (time: number) {
      const seconds = Math.floor(time / 1000)
      let live = 0
      for (const until of times) if (until > seconds) live++
      if (live < count * 0.75) move(live, seconds)
    }
  }
}

export default fp(blocklist, { name: 'blocklist', dependencies: ['clock', 'db'] })
