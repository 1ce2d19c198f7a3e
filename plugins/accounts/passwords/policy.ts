import type { FastifyInstance } from 'fastify'

/** Builds `passwords.assertStrong`: the policy of NIST SP 800-63B-4, section 3.1.1.2, and OWASP ASVS 5.0, section 6.2. */
export function createPolicy ({ config: { passwordMinLength }, problem }: FastifyInstance) {
  function refuse (detail: string): Error {
    return problem('weak_password', { detail })
  }

  return async (password: string, names: Array<string | null | undefined>) => {
    const normal = password.normalize('NFC').toLowerCase()
    const unit = /^(.+?)\1*$/su.exec(normal)?.[1] ?? normal
    const ownNames = names.flatMap((name) => [name, name?.split('@')[0]]).map((name) => name?.normalize('NFC').trim().toLowerCase())
    const common = await commonPasswords()

    if ([...normal].length < passwordMinLength) {
      throw refuse(`This password is too short. Choose one of at least ${passwordMinLength} characters.`)
    }
    if (ownNames.includes(normal)) throw refuse('This password is one of your own names. Choose another.')
    if (common.has(normal) || common.has(unit) || [...unit].length < 4) throw refuse('This password is easy to guess. Choose another.')
  }
}

let loaded: Set<string> | undefined

/** Some 49,000 of the most used passwords, read when the first password is chosen. */
async function commonPasswords (): Promise<Set<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  loaded ??= new Set(dictionary['passwords-common'])
  return loaded
}
