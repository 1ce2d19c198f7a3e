import { domainToASCII, domainToUnicode } from 'node:url'

/** The names of an account, as people write them. */
export interface Names {
  username?: string
  email?: string
  name?: string | null
}

/**
 * The form in which usernames are compared (RFC 8265, UsernameCaseMapped): full- and half-width characters become
 * ordinary ones, upper case becomes lower case, and the rest is composed (NFC).
 */
export function usernameKey (username: string): string {
  return toOrdinaryWidth(username).toLowerCase().normalize('NFC')
}

/** The form in which e-mail addresses are stored and compared: the domain as IDNA shows it (RFC 5891), never as `xn--`. */
export function emailKey (email: string): string {
  const [, local = '', domain] = /^(.*)@(.*)$/s.exec(plainEmailKey(email)) ?? []
  return domain === undefined ? plainEmailKey(email) : `${local}@${domainKey(domain)}`
}

/** The form in which earlier versions stored and compared e-mail addresses. Accounts that were made then keep it. */
export function plainEmailKey (email: string): string {
  return email.trim().toLowerCase().normalize('NFC')
}

/** ASCII that no domain has. `domainToASCII` would take what follows for the rest of an address, or decode it. */
export const NOT_IN_DOMAIN = /[\0-,/:-`{-\x7f]/

/** A domain that IDNA does not know stays as it is. */
function domainKey (domain: string): string {
  const isPlain = !/[^\0-\x7f]|xn--/.test(domain) || NOT_IN_DOMAIN.test(domain)
  return isPlain ? domain : domainToUnicode(domainToASCII(domain)) || domain
}

function toOrdinaryWidth (text: string): string {
  return text.trim().replace(/[\uff00-\uffef]/g, (wide) => wide.normalize('NFKC'))
}

/** The form in which the name that a person signs in with is compared. An e-mail address has an @, a username has none. */
export function loginKey (login: string): string {
  return isEmail(login) ? emailKey(login) : usernameKey(login)
}

export function isEmail (login: string): boolean {
  return login.includes('@')
}

/** Names as they are stored. A name that is absent in a change stays absent. */
export function toColumns ({ username, email, name }: Names) {
  return {
    ...username !== undefined && { username: toOrdinaryWidth(username).normalize('NFC'), usernameKey: usernameKey(username) },
    ...email !== undefined && { email: emailKey(email) },
    ...name !== undefined && { name: name?.trim().normalize('NFC') ?? null }
  }
}
