/**
 * The form in which usernames are compared (RFC 8265, UsernameCaseMapped): full- and half-width characters
 * become ordinary ones, upper case becomes lower case, and the rest is composed (NFC).
 */
export function usernameKey (username: string): string {
  const mapped = username.replace(/[\uff00-\uffef]/g, (wide) => wide.normalize('NFKC'))
  return mapped.toLowerCase().normalize('NFC')
}

/** The form in which e-mail addresses are kept and compared. */
export function emailKey (email: string): string {
  return email.trim().toLowerCase().normalize('NFC')
}

/** The form in which what a person signs in with is compared: an e-mail address has an @, a username has none. */
export function loginKey (login: string): string {
  return login.includes('@') ? emailKey(login) : usernameKey(login)
}
