import { blob, check, index, integer, primaryKey, sql, sqliteTable, text } from './drizzle.ts'

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

/** A place in a status list, and when the token that stands there expires. */
export interface StatusEntry { list: string, index: number, until: number }

/** One login on one device. What a refresh changes is in no index: keeping one up to date would cost as much as the rest of it. */
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
  userAgent: text(),
  /** Where the session's access tokens stand in status lists, the newest last; the expired ones drop out at each rotation. */
  statusEntries: text({ mode: 'json' }).$type<StatusEntry[]>().notNull().default([]),
  /** The account's, for as long as the session lives: changing them ends it. They are here so that a refresh reads one row. */
  roles: text({ mode: 'json' }).$type<string[]>().notNull().default([])
}, (sessions) => [
  check('sessions_generation_counts_up', sql`${sessions.generation} >= 0`),
  index('sessions_user_id').on(sessions.userId)
])

/** What was revoked before it expired: an access token (`jti`), a session (`sid`) or a signing key (`kid`). */
export const revocations = sqliteTable('revocations', {
  /** Grows with every revocation, so that a reader can ask for what is new. */
  sequence: integer().primaryKey({ autoIncrement: true }),
  revokedId: text().notNull().unique('revocations_revoked_id'),
  until: integer().notNull(),
  kind: text({ enum: ['jti', 'sid', 'kid'] }).notNull().default('sid')
}, (revocations) => [
  check('revocations_kind', sql`${revocations.kind} in ('jti', 'sid', 'kid')`),
  index('revocations_until').on(revocations.until)
])

/** The private part is encrypted; see plugins/keys.ts. */
export const signingKeys = sqliteTable('signing_keys', {
  kid: text().primaryKey(),
  algorithm: text().notNull(),
  publicKey: text().notNull(),
  privateKey: blob({ mode: 'buffer' }).notNull(),
  createdAt: integer().notNull(),
  /** A key is published as soon as it is made, and signs from here on. */
  signsFrom: integer().notNull().default(0),
  /** Set once it has a successor: when the last token that it signed has expired. */
  retiresAt: integer()
})

/** A Token Status List: a bit for every access token issued while it was open. */
export const statusLists = sqliteTable('status_lists', {
  id: text().primaryKey(),
  /** Shuffles the order in which places are given out. */
  seed: blob({ mode: 'buffer' }).notNull(),
  /** How many places are given out. */
  issued: integer().notNull(),
  closesAt: integer().notNull(),
  /** When the last token in it expires, and the list is of no more use. */
  retiresAt: integer().notNull()
})

/** The bits that are set. */
export const revokedStatuses = sqliteTable('revoked_statuses', {
  list: text().notNull().references(() => statusLists.id, { onDelete: 'cascade' }),
  index: integer().notNull()
}, (revokedStatuses) => [
  primaryKey({ columns: [revokedStatuses.list, revokedStatuses.index] })
])

/** Who may introspect, revoke and follow revocations: gateways and services. The secret is 256 random bits, so a plain hash of it tells nothing. */
export const clients = sqliteTable('clients', {
  id: text().primaryKey(),
  secretHash: text().notNull(),
  createdAt: integer().notNull()
})

/**
 * What happened, each row chained to the one before by its hash (db/audit-chain.ts). Triggers let it grow at its end and
 * shrink at its beginning, and nothing else. Refreshes, by far the most, are in no index: it would cost more than the row.
 */
export const auditEvents = sqliteTable('audit_events', {
  /** Without gaps. */
  sequence: integer().primaryKey(),
  at: integer().notNull(),
  event: text().notNull(),
  outcome: text().notNull(),
  actorKind: text({ enum: ['anonymous', 'user', 'client', 'cli', 'service'] }).notNull(),
  actorId: text(),
  /** The account that it happened to. No reference: the event outlives the account. */
  subject: text(),
  session: text(),
  /** What else it happened to: the `jti`, `kid`, client or other session that the event speaks of. */
  target: text(),
  ip: text(),
  userAgent: text(),
  requestId: text(),
  details: text({ mode: 'json' }).$type<Record<string, unknown>>(),
  hash: blob({ mode: 'buffer' }).notNull()
}, (auditEvents) => [
  check('audit_events_actor_kind', sql`${auditEvents.actorKind} in ('anonymous', 'user', 'client', 'cli', 'service')`),
  check('audit_events_hash_is_sha_256', sql`length(${auditEvents.hash}) = 32`),
  index('audit_events_subject').on(auditEvents.subject).where(sql`event <> 'refreshed'`),
  index('audit_events_session').on(auditEvents.session).where(sql`event <> 'refreshed'`),
  index('audit_events_request_id').on(auditEvents.requestId).where(sql`event <> 'refreshed'`),
  index('audit_events_target').on(auditEvents.target).where(sql`target is not null`)
])

/** One row: the last event that retention took away, from which the chain goes on. */
export const auditAnchor = sqliteTable('audit_anchor', {
  id: integer().primaryKey(),
  sequence: integer().notNull(),
  hash: blob({ mode: 'buffer' }).notNull()
}, (auditAnchor) => [
  check('audit_anchor_is_one', sql`${auditAnchor.id} = 1`)
])

/** How many requests with passwords came from an address (a keyed hash of it) in its current window. */
export const requestCounts = sqliteTable('request_counts', {
  key: text().primaryKey(),
  count: integer().notNull(),
  until: integer().notNull()
}, (requestCounts) => [
  check('request_counts_count', sql`${requestCounts.count} >= 1`),
  index('request_counts_until').on(requestCounts.until)
])

/** Wrong passwords, by address, by account and by the pair of them. The keys are keyed hashes: who it was stands nowhere. */
export const guesses = sqliteTable('guesses', {
  key: text().primaryKey(),
  /** When the last of them is forgotten. One is at regular intervals, so this also says how many there are. */
  forgottenAt: integer().notNull(),
  /** From when on the next password is taken. */
  opensAt: integer().notNull()
}, (guesses) => [
  index('guesses_forgotten_at').on(guesses.forgottenAt)
])

/** The pairs of address and account that have signed in, in the same keyed form. */
export const knownPairs = sqliteTable('known_pairs', {
  key: text().primaryKey(),
  until: integer().notNull()
}, (knownPairs) => [
  index('known_pairs_until').on(knownPairs.until)
])

/** One row, written by the readiness check to see that writing works. */
export const probe = sqliteTable('probe', {
  id: integer().primaryKey(),
  writtenAt: integer().notNull()
})
