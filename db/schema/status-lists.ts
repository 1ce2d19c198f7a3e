import type { Words } from '../sqlite/words.ts'

export function statusListTables ({ bytes, number, primaryKey, table, text }: Words) {
  /** A Token Status List: a bit for every access token issued while it was open. */
  const statusLists = table('status_lists', {
    id: text().primaryKey(),
    /** Shuffles the order in which places are given out. */
    seed: bytes().notNull(),
    /** The number of places that are given out, or taken by a process that will. */
    issued: number().notNull(),
    closesAt: number().notNull(),
    /** When the last token in it expires, and the list is of no more use. */
    retiresAt: number().notNull()
  })

  /** The bits that are set. */
  const revokedStatuses = table('revoked_statuses', {
    list: text().notNull().references(() => statusLists.id, { onDelete: 'cascade' }),
    index: number().notNull()
  }, (revokedStatuses) => [
    primaryKey({ columns: [revokedStatuses.list, revokedStatuses.index] })
  ])

  return { statusLists, revokedStatuses }
}
