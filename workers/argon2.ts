// Runs in the threads of plugins/passwords.ts: the synchronous functions, because the thread has nothing else to do.
import { hashSync, verifySync } from '@node-rs/argon2'
import { rested } from './rest.ts'
import type { Rest } from './rest.ts'

export function hash ({ password, memoryCost, timeCost, rest }: { password: string, memoryCost: number, timeCost: number, rest: Rest }): Promise<string> {
  return rested(rest, () => hashSync(password, { memoryCost, timeCost, parallelism: 1 }))
}

export function verify ({ password, passwordHash, rest }: { password: string, passwordHash: string, rest: Rest }): Promise<boolean> {
  return rested(rest, () => verifySync(passwordHash, password))
}
