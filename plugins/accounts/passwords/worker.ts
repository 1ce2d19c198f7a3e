// Runs in the threads of pool.ts: the synchronous functions, because the thread has nothing else to do.
import { hashSync, verifySync } from '@node-rs/argon2'

export function hash ({ password, memoryCost, timeCost }: { password: string, memoryCost: number, timeCost: number }): string {
  return hashSync(password, { memoryCost, timeCost, parallelism: 1 })
}

export function verify ({ password, passwordHash }: { password: string, passwordHash: string }): boolean {
  return verifySync(passwordHash, password)
}
