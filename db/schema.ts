import { blob, check, index, integer, sql, sqliteTable, text } from './drizzle.ts'

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

/** One login on one device. */
export const sessions = sqliteTable('sessions', {
  id: text().primaryKey(),
  userId: text().notNull().references(() => users.id, { onDelete: 'cascade' }),
  /** How often the refresh token was rotated: the only thing about it that is stored. */
  generation: integer().notNull(),
  createdAt: integer().notNull(),
  /** The login or the last rotation. */
  lastUsedAt: integer().notNull(),
  expiresAt: integer().notNull(),
  /** When the last access token issued in this session expires: how long its end must be remembered. */
  accessExpiresAt: integer().notNull(),
  ip: text().notNull(),
  userAgent: text()
}, (sessions) => [
  check('sessions_generation_counts_up', sql`${sessions.generation} >= 0`),
  index('sessions_user_id').on(sessions.userId),
  index('sessions_expires_at').on(sessions.expiresAt)
])

/** What was revoked before it expired: an access token's `jti` or a session's `sid`. */
export const revocations = sqliteTable('revocations', {
  /** Grows with every revocation, so that a reader can ask for what is new. */
  sequence: integer().primaryKey({ autoIncrement: true }),
  revokedId: text().notNull().unique('revocations_revoked_id'),
  until: integer().notNull()
}, (revocations) => [
  index('revocations_until').on(revocations.until)
])

/** The private part is encrypted; see plugins/keys.ts. */
export const signingKeys = sqliteTable('signing_keys', {
  kid: text().primaryKey(),
  algorithm: text().notNull(),
  publicKey: text().notNull(),
  privateKey: blob({ mode: 'buffer' }).notNull(),
  createdAt: integer().notNull()
})

/** One row, written by the readiness check to see that writing works. */
export const probe = sqliteTable('probe', {
  id: integer().primaryKey(),
  writtenAt: integer().notNull()
})
