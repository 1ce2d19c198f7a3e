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
  const mapped = username.replace(/[\uff00-\uffef]/g, (wide) => wide.normalize('NFKC'))
  return mapped.toLowerCase().normalize('NFC')
}

/** The form in which e-mail addresses are stored and compared. */
export function emailKey (email: string): string {
  return email.trim().toLowerCase().normalize('NFC')
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
    ...username !== undefined && { username: username.normalize('NFC'), usernameKey: usernameKey(username) },
    ...email !== undefined && { email: emailKey(email) },
    ...name !== undefined && { name: name?.normalize('NFC') ?? null }
  }
}
