import { check, index, integer, sql, sqliteTable, text } from '../drizzle.ts'
import { users } from './users.ts'

/** A place in a status list, and when the token that stands there expires. */
export interface StatusEntry { list: string, index: number, until: number }

/** One login on one device. What a refresh changes is in no index: keeping one up to date would cost as much as the rest of it. */
export const sessions = sqliteTable('sessions', {
  id: text().primaryKey(),
  userId: text().notNull().references(() => users.id, { onDelete: 'cascade' }),
  /** The number of rotations of the refresh token: the only thing about it that is stored. */
  generation: integer().notNull(),
  createdAt: integer().notNull(),
  /** The login or the last rotation. */
  lastUsedAt: integer().notNull(),
  expiresAt: integer().notNull(),
  /** When the last access token issued in this session expires: how long its end must be remembered. */
  accessExpiresAt: integer().notNull(),
  /** The address and the User-Agent of the login or the last rotation. The audit log keeps those of the login. */
  ip: text().notNull(),
  userAgent: text(),
  /** Where the session's access tokens stand in status lists, the newest last; the expired ones drop out at each rotation. */
  statusEntries: text({ mode: 'json' }).$type<StatusEntry[]>().notNull().default([]),
  /** The account's, for as long as the session lives: changing them ends it. They are here so that a refresh reads one row. */
  roles: text({ mode: 'json' }).$type<string[]>().notNull().default([])
}, (sessions) => [
  check('sessions_generation_counts_up', sql`${sessions.generation} >= 0`),
  index('sessions_user_id').on(sessions.userId)
])

export type Session = typeof sessions.$inferSelect

/** A session that has just begun: its first token has no place in a status list yet. */
export type NewSession = Omit<Session, 'statusEntries'>
