import { desc } from './drizzle.ts'
import { signingKeys } from './schema.ts'
import type { Connection } from './index.ts'
import type { Write } from './writer.ts'

export type StoredKey = typeof signingKeys.$inferSelect

export function signingKeysRepository (connection: Connection, write: Write) {
  const all = connection.select().from(signingKeys).orderBy(desc(signingKeys.createdAt)).prepare()

  return {
    /** Every key, the newest first. */
    async list (): Promise<StoredKey[]> {
      return all.all()
    },

    /** Keeps a key made just now, unless another process has kept one of its algorithm first; gives the keys that hold. */
    addFirst: (key: StoredKey) => write(() => {
      const isFirst = !all.all().some(({ algorithm }) => algorithm === key.algorithm)
      if (isFirst) connection.insert(signingKeys).values(key).run()
      return all.all()
    })
  }
}
