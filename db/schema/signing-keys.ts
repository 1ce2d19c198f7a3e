import { blob, integer, sqliteTable, text } from '../drizzle.ts'

/** The private part is encrypted; see plugins/tokens/signing-keys.ts. */
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

export type StoredKey = typeof signingKeys.$inferSelect
export type NewKey = Omit<StoredKey, 'retiresAt'>
