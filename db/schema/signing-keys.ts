import type { Words } from '../sqlite/words.ts'

export function signingKeyTables ({ bytes, number, table, text }: Words) {
  /** The private part is encrypted; see plugins/tokens/signing-keys.ts. */
  const signingKeys = table('signing_keys', {
    kid: text().primaryKey(),
    algorithm: text().notNull(),
    publicKey: text().notNull(),
    privateKey: bytes().notNull(),
    /** Never the same for two keys. */
    createdAt: number().notNull(),
    /** A key is published as soon as it is made, and signs from here on. */
    signsFrom: number().notNull().default(0),
    /** Set once it has a successor: when the last token that it signed has expired. */
    retiresAt: number()
  })

  return { signingKeys }
}

export type StoredKey = ReturnType<typeof signingKeyTables>['signingKeys']['$inferSelect']
export type NewKey = Omit<StoredKey, 'retiresAt'>
