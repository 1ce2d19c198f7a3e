import { check, index, integer, sql, sqliteTable, text } from '../drizzle.ts'

/** Times are whole milliseconds since 1970; ids are 128 random bits in base64url. */
export const users = sqliteTable('users', {
  id: text().primaryKey(),
  username: text(),
  /** The username as it is compared (RFC 8265, UsernameCaseMapped). */
  usernameKey: text().unique('users_username_key'),
  /** Kept in the form in which it is compared: trimmed, lower case. */
  email: text().unique('users_email'),
  name: text(),
  passwordHash: text().notNull(),
  passwordChangedAt: integer().notNull(),
  roles: text({ mode: 'json' }).$type<string[]>().notNull(),
  disabled: integer({ mode: 'boolean' }).notNull(),
  createdAt: integer().notNull()
}, (users) => [
  check('users_have_a_name', sql`${users.usernameKey} is not null or ${users.email} is not null`),
  check('users_username_has_a_key', sql`(${users.username} is null) = (${users.usernameKey} is null)`),
  check('users_roles_are_a_list', sql`json_type(${users.roles}) = 'array'`),
  check('users_disabled_is_boolean', sql`${users.disabled} in (0, 1)`),
  index('users_created_at').on(users.createdAt, users.id),
  index('users_active_admins').on(users.id).where(sql`instr(roles, '"admin"') and not disabled`)
])

/** Names that accounts gave up, as keyed hashes. Until then only the account that had one may take it again. */
export const freedNames = sqliteTable('freed_names', {
  key: text().primaryKey(),
  userId: text().notNull(),
  until: integer().notNull()
}, (freedNames) => [
  index('freed_names_until').on(freedNames.until)
])

export type User = typeof users.$inferSelect
