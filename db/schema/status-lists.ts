import { blob, integer, primaryKey, sqliteTable, text } from '../drizzle.ts'

/** A Token Status List: a bit for every access token issued while it was open. */
export const statusLists = sqliteTable('status_lists', {
  id: text().primaryKey(),
  /** Shuffles the order in which places are given out. */
  seed: blob({ mode: 'buffer' }).notNull(),
  /** The number of places that are given out. */
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
