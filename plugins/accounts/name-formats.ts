import { domainToASCII } from 'node:url'
import fp from 'fastify-plugin'
import { NOT_IN_DOMAIN, emailKey, usernameKey } from './canonical-names.ts'
import { isIdentifier } from './identifiers.ts'
import type { FastifyPluginAsync } from 'fastify'

/** RFC 5321, section 4.5.3.1, in octets. */
const LOCAL_PART_LENGTH = 64
const ADDRESS_LENGTH = 254
const DOMAIN_LENGTH = 253

const FIRST_IN_USERNAME = /^[\p{L}\p{Nd}]/u

/** `Dot-string` of RFC 5321, section 4.1.2, with the letters of RFC 6531. */
const LOCAL_PART = /^[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+)*$/u
const DOMAIN = /^(?:(?!-)[a-z\d-]{1,63}(?<!-)\.)+(?!-|\d+$)[a-z\d-]{1,63}(?<!-)$/

/** IDNA would take them out in silence. */
const NEVER_IN_ADDRESS = /[[\s\p{Cc}\p{Default_Ignorable_Code_Point}]--\p{Join_Control}]/v

/** Characters that are not printed, or that turn the direction of what follows. Joiners and variation selectors shape letters. */
const UNPRINTABLE = /[[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{NChar}\p{DI}\ufffd]--[\p{Join_Control}\p{Variation_Selector}]]/v
const VISIBLE = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800]]/v
const LOOSE_JOINER = /^[\p{M}\p{Join_Control}]|[\p{Join_Control}\s]\p{Join_Control}|\p{Join_Control}(?:\s|$)/u
const PILED_MARKS = /\p{Mn}{9}/u

/** RFC 8265, UsernameCaseMapped, with the separators `._+-` and without the @ of an e-mail address. */
export function isUsername (text: string): boolean {
  const key = usernameKey(text)
  return FIRST_IN_USERNAME.test(key) && isIdentifier(key)
}

/** RFC 5321 and 6531 with a domain name after IDNA. Local parts in quotes, and addresses of machines, are not taken. */
export function isEmailAddress (text: string): boolean {
  if (NEVER_IN_ADDRESS.test(text.trim())) return false
  const [local = '', domain = '', ...rest] = emailKey(text).split('@')
  const ascii = NOT_IN_DOMAIN.test(domain) ? '' : domainToASCII(domain)
  return rest.length === 0 &&
    LOCAL_PART.test(local) &&
    isIdentifier(local.replace(/[!#$%&'*/=?^`{|}~]/g, '-')) &&
    DOMAIN.test(ascii) &&
    !/(?:^|\.)xn--/.test(domain) && // which IDNA cannot read
    ascii.length <= DOMAIN_LENGTH &&
    Buffer.byteLength(local) <= LOCAL_PART_LENGTH &&
    Buffer.byteLength(local) + 1 + Buffer.byteLength(domain) <= ADDRESS_LENGTH
}

/** Any text that can be seen, on one line. */
export function isDisplayName (text: string): boolean {
  const name = text.trim()
  return VISIBLE.test(name) &&
    !UNPRINTABLE.test(name) &&
    !LOOSE_JOINER.test(name) &&
    !PILED_MARKS.test(name.normalize('NFD'))
}

/** The formats of schemas of names. */
export const NAME_FORMATS = { username: isUsername, 'email-address': isEmailAddress, 'display-name': isDisplayName }

const nameFormats: FastifyPluginAsync = async ({ formats }) => {
  Object.assign(formats, NAME_FORMATS)
}

export default fp(nameFormats, { name: 'name-formats', dependencies: ['validation'] })
