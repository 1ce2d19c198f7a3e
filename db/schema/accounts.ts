import { sql } from '../drizzle.ts'
import type { Words } from '../sqlite/words.ts'

/** A place in a status list, and when the token that stands there expires. */
export interface StatusEntry { list: string, index: number, until: number }

export function accountTables ({ check, emptyList, flag, index, isActiveAdmin, isFlag, isList, json, number, table, text }: Words) {
  /** Times are whole milliseconds since 1970; ids are 128 random bits in base64url. */
  const users = table('users', {
    id: text().primaryKey(),
    username: text(),
    /** The username as it is compared (RFC 8265, UsernameCaseMapped). */
    usernameKey: text().unique('users_username_key'),
    /** Kept in the form in which it is compared: trimmed, lower case. */
    email: text().unique('users_email'),
    name: text(),
    passwordHash: text().notNull(),
    passwordChangedAt: number().notNull(),
    roles: json().$type<string[]>().notNull(),
    disabled: flag().notNull(),
    createdAt: number().notNull()
  }, (users) => [
    check('users_have_a_name', sql`${users.usernameKey} is not null or ${users.email} is not null`),
    check('users_username_has_a_key', sql`(${users.username} is null) = (${users.usernameKey} is null)`),
    check('users_roles_are_a_list', isList(users.roles)),
    check('users_disabled_is_boolean', isFlag(users.disabled)),
    index('users_created_at').on(users.createdAt, users.id),
    index('users_active_admins').on(users.id).where(isActiveAdmin)
  ])

  /** One login on one device. What a refresh changes is in no index: keeping one up to date would cost as much as the rest of it. */
  const sessions = table('sessions', {
    id: text().primaryKey(),
    userId: text().notNull().references(() => users.id, { onDelete: 'cascade' }),
    /** The number of rotations of the refresh token: the only thing about it that is stored. */
    generation: number().notNull(),
    createdAt: number().notNull(),
    /** The login or the last rotation. */
    lastUsedAt: number().notNull(),
    expiresAt: number().notNull(),
    /** When the last access token issued in this session expires: how long its end must be remembered. */
    accessExpiresAt: number().notNull(),
    /** The address and the User-Agent of the login or the last rotation. The audit log keeps those of the login. */
    ip: text().notNull(),
    userAgent: text(),
    /** Where the session's access tokens stand in status lists, the newest last; the expired ones drop out at each rotation. */
    statusEntries: json().$type<StatusEntry[]>().notNull().default(emptyList),
    /** The account's, for as long as the session lives: changing them ends it. They are here so that a refresh reads one row. */
    roles: json().$type<string[]>().notNull().default(emptyList)
  }, (sessions) => [
    check('sessions_generation_counts_up', sql`${sessions.generation} >= 0`),
    index('sessions_user_id').on(sessions.userId)
  ])

  /** Names that accounts gave up, as keyed hashes. Until then only the account that had one may take it again. */
  const freedNames = table('freed_names', {
    key: text().primaryKey(),
    userId: text().notNull(),
    until: number().notNull()
  }, (freedNames) => [
    index('freed_names_until').on(freedNames.until)
  ])

  return { users, sessions, freedNames }
}

type AccountTables = ReturnType<typeof accountTables>

export type User = AccountTables['users']['$inferSelect']
export type Session = AccountTables['sessions']['$inferSelect']

/** A session that has just begun: its first token has no place in a status list yet. */
export type NewSession = Omit<Session, 'statusEntries'>
