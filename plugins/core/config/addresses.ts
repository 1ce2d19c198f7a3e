import { isIP } from 'node:net'

/** An IP address, or a CIDR range. */
export function isAddressRange (value: string): boolean {
  const [address = '', prefix = '0', ...rest] = value.split('/')
  const version = isIP(address)
  return version !== 0 && rest.length === 0 && /^\d+$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128)
}

/** A web origin as browsers write it: scheme, host and port. */
export function isOrigin (value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value
}
