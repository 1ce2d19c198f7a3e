import { probe } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { Write } from './writer.ts'

export function probeRepository (connection: Connection, write: Write) {
  return {
    /** Writes `now` and reads it back; rejects with SQLite's error when either fails. */
    async run (now: number): Promise<boolean> {
      await write(() => {
        connection.insert(probe).values({ id: 1, writtenAt: now }).onConflictDoUpdate({ target: probe.id, set: { writtenAt: now } }).run()
      })
      return connection.select().from(probe).get() !== undefined
    }
  }
}
