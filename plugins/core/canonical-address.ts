import { SocketAddress, isIPv4, isIPv6 } from 'node:net'

const MAPPED = '::ffff:'
const WITH_PORT = /^(?:\[([^\]]*)\](?::\d*)?|([\d.]+):\d*)$/
const FOUR_NUMBERS = /^\d{1,3}(?:\.\d{1,3}){3}$/

/**
 * The one spelling of an address, however a gateway writes it: with a port, in brackets, in quotes, with leading zeros, IPv4
 * in IPv6. Undefined for what is no address.
 */
export function canonicalAddress (text: string): string | undefined {
  if (isIPv4(text)) return text
  const bare = withoutPort(text.trim().replace(/^"(.*)"$/, '$1'))
  if (FOUR_NUMBERS.test(bare)) return ifIPv4(bare.split('.').map(Number).join('.'))
  const address = bare.replace(/%.*$/, '') // the zone: a network interface of ours
  if (!isIPv6(address)) return undefined
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  return canonical.startsWith(MAPPED) ? ifIPv4(canonical.slice(MAPPED.length)) ?? canonical : canonical
}

function withoutPort (text: string): string {
  const [, bracketed, plain] = WITH_PORT.exec(text) ?? []
  return bracketed ?? plain ?? text
}

function ifIPv4 (text: string): string | undefined {
  return isIPv4(text) ? text : undefined
}

/** Parts of a canonical IPv6 address, as many as its first 64 bits have. */
function firstHalfOf (address: string): string[] {
  const [left = [], right = []] = address.split('::').map((part) => part.split(':').filter(Boolean))
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right].slice(0, 4)
}

/**
 * The networks that one client may have to itself, the smallest first: an IPv4 address alone; of IPv6 the /64 of a household,
 * and the /56 and /48 that providers give to a customer. 6to4 addresses are one client for each IPv4 address behind them.
 */
export function networksOf (text: string): [string, ...string[]] {
  const address = canonicalAddress(text)
  if (address === undefined || !isIPv6(address)) return [address ?? text]
  const [a, b, c, d = ''] = firstHalfOf(address)
  const wide = `${a}:${b}:${c}::/48`
  return a === '2002' ? [wide] : [`${a}:${b}:${c}:${d}::/64`, `${a}:${b}:${c}:${parseInt(d, 16) >> 8}::/56`, wide]
}
