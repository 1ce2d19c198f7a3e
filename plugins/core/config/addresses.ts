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

/** The public address of a service, from which others are built by appending to it. */
export function isIssuer (value: string): boolean {
  if (!/^https?:\/\/[^/]+(?:\/[\w.~-]+)*$/.test(value) || !URL.canParse(value)) return false
  const { href, pathname, username, password } = new URL(value)
  return username === '' && password === '' && href === (pathname === '/' ? `${value}/` : value)
}

/** Headers that mean something else already, or that Node gives as a list. */
const RESERVED_HEADERS = new RegExp(`^(?:${[
  'authorization', 'connection', 'content-.*', 'cookie', 'expect', 'forwarded', 'host', 'set-cookie', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'x-forwarded-.*'
].join('|')})$`)

/** The name of a header that may hold a token. A request's headers are an object, which has names of its own. */
export function isHeaderName (value: string): boolean {
  return /^[A-Za-z][A-Za-z0-9-]*$/.test(value) && !(value.toLowerCase() in {}) && !RESERVED_HEADERS.test(value.toLowerCase())
}
