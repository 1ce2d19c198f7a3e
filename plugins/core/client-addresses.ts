import { BlockList, isIPv6 } from 'node:net'
import fp from 'fastify-plugin'
import { canonicalAddress, networksOf } from './canonical-address.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { clientAddresses: ClientAddresses }
}

export interface ClientAddresses {
  /** True for the address of a gateway in TRUST_PROXY, in any spelling. */
  isGateway: (address: string | undefined) => boolean
  /** The networks that one client may have to itself, the smallest first: at most three. */
  networksOf: (address: string) => [string, ...string[]]
}

type Hop = Pick<FastifyRequest, 'headers' | 'raw'>

/**
 * Says who a client is: `request.ip`, `request.host` and `request.protocol` go by the headers of the gateways in TRUST_PROXY.
 * Fastify's own `trustProxy` does the same, but takes an address in whatever shape a gateway writes it.
 */
const clientAddresses: FastifyPluginAsync = async (fastify) => {
  const { config: { trustProxy } } = fastify
  const gateways = new BlockList()
  for (const range of trustProxy) {
    const [address = '', prefix] = range.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) gateways.addAddress(address, family)
    else gateways.addSubnet(address, Number(prefix), family)
  }

  function isGateway (address = ''): boolean {
    if (trustProxy.length === 0) return false
    const canonical = canonicalAddress(address)
    return canonical !== undefined && gateways.check(canonical, isIPv6(canonical) ? 'ipv6' : 'ipv4')
  }

  /** The last address that is no gateway's. A gateway that names no address counts as the client. */
  function clientOf ({ headers, raw: { socket: { remoteAddress = '' } } }: Hop): string {
    let client = canonicalAddress(remoteAddress) ?? remoteAddress
    const hops = [headers['x-forwarded-for'] ?? []].flat().join().split(',').filter((hop) => hop.trim() !== '')
    while (isGateway(client)) {
      const hop = canonicalAddress(hops.pop() ?? '')
      if (hop === undefined) break
      client = hop
    }
    return client
  }

  /** The last value of a header that the nearest gateway sets. */
  function forwarded ({ headers, raw: { socket } }: Hop, name: 'x-forwarded-host' | 'x-forwarded-proto'): string | undefined {
    return isGateway(socket.remoteAddress) ? [headers[name] ?? []].flat().join().split(',').at(-1)?.trim() || undefined : undefined
  }

  fastify.decorateRequest('ip', { getter () { return clientOf(this) } })
  fastify.decorateRequest('host', { getter () { return forwarded(this, 'x-forwarded-host') ?? this.headers.host ?? '' } })
  fastify.decorateRequest('protocol', { getter () { return forwarded(this, 'x-forwarded-proto') === 'https' ? 'https' : 'http' } })
  fastify.decorate('clientAddresses', { isGateway, networksOf })
}

export default fp(clientAddresses, { name: 'client-addresses', dependencies: ['config'] })
