import type { Session } from './schema/index.ts'

// A refresh does without Drizzle here, which would make up a fifth of it.

/** A session's columns, in the order of the query. */
export type Row = [
  userId: string,
  generation: number,
  createdAt: number,
  lastUsedAt: number,
  expiresAt: number,
  accessExpiresAt: number,
  ip: string,
  userAgent: string | null,
  statusEntries: string,
  roles: string
]

export const FIND = `select
  user_id, generation, created_at, last_used_at, expires_at, access_expires_at, ip, user_agent, status_entries, roles
  from sessions where id = ?`

export function toSession (id: string, row: Row): Session {
  const [userId, generation, createdAt, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, entries, roleNames] = row
  const statusEntries = JSON.parse(entries) as Session['statusEntries'] // written as such, and by nobody else
  const roles = JSON.parse(roleNames) as Session['roles'] // the same
  return { id, userId, generation, createdAt, lastUsedAt, expiresAt, accessExpiresAt, ip, userAgent, statusEntries, roles }
}

/** The columns that a rotation writes, and the session. */
export type Change = [
  generation: number,
  lastUsedAt: number,
  expiresAt: number,
  accessExpiresAt: number,
  ip: string,
  userAgent: string | null,
  statusEntries: string,
  id: string
]

export const UPDATE = `update sessions
  set generation = ?, last_used_at = ?, expires_at = ?, access_expires_at = ?, ip = ?, user_agent = ?, status_entries = ?
  where id = ?`
