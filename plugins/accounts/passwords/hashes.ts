import { randomBytes } from 'node:crypto'

const SALT_BYTES = 16
const TAG_BYTES = 32

/** A stored hash beyond these was not made here, and computing it would stop everybody else. */
const MOST = { memoryCost: 262_144, timeCost: 10, parallelism: 4 }

/** The hash, unless its parameters are absurd. */
export function boundedHash (passwordHash = ''): string | undefined {
  const [hash, m, t, p] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$[\w+/]+\$[\w+/]+$/.exec(passwordHash) ?? []
  return Number(m) <= MOST.memoryCost && Number(t) <= MOST.timeCost && Number(p) <= MOST.parallelism ? hash : undefined
}

/** A hash of no password, which costs as much as one of these parameters. */
export function randomHash (parameters: string): string {
  return `${parameters}${randomBase64(SALT_BYTES)}$${randomBase64(TAG_BYTES)}`
}

function randomBase64 (bytes: number): string {
  return randomBytes(bytes).toString('base64').replaceAll('=', '')
}
