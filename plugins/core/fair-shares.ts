import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** The places that networks may have for each one that is free, in the order of `networksOf`: an address, a /56, a /48. */
const PER_FREE_PLACE = [0.5, 1, 2]

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Shares out so many places among clients. Nobody may have more of them than in proportion to those that are free: one
     * address alone gets a third, and leaves room for others; as many addresses as there are places do not.
     * RATE_LIMIT=off shares out nothing.
     */
    fairShares: (places: number) => Shares
  }
}

export interface Shares {
  /** Takes a place for a client's address, and gives the function that gives it back; undefined when there is none for it. */
  take: (client?: string) => (() => void) | undefined
  /** Tells whether `take` would give one. */
  hasRoom: (client?: string) => boolean
  /** The number of places that are taken. */
  taken: () => number
}

const fairShares: FastifyPluginAsync = async (fastify) => {
  const { clientAddresses: { networksOf }, config: { rateLimit } } = fastify

  function createShares (places: number): Shares {
    const held = new Map<string, number>() // no more entries than three for each place
    let taken = 0

    const holdersOf = (client: string | undefined) => client === undefined || !rateLimit ? [] : networksOf(client)

    function add (networks: string[], change: 1 | -1) {
      taken += change
      for (const network of networks) {
        const count = (held.get(network) ?? 0) + change
        if (count > 0) held.set(network, count)
        else held.delete(network)
      }
    }

    function mayHaveOne (networks: string[]): boolean {
      const free = places - taken
      const mostOf = (i: number) => Math.max(1, free * PER_FREE_PLACE[i]!) // there are three
      return free > 0 && networks.every((network, i) => (held.get(network) ?? 0) < mostOf(i))
    }

    function take (client?: string) {
      const networks = holdersOf(client)
      if (!mayHaveOne(networks)) return undefined
      add(networks, 1)
      return () => add(networks, -1)
    }

    return { take, hasRoom: (client) => mayHaveOne(holdersOf(client)), taken: () => taken }
  }

  fastify.decorate('fairShares', createShares)
}

export default fp(fairShares, { name: 'fair-shares', dependencies: ['client-addresses', 'config'] })
