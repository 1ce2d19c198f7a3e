import { eq } from './drizzle.ts'
import { serviceState } from './schema/index.ts'
import type { Connection } from './connection.ts'
import type { Write } from './writer.ts'

/** Names and values; see plugins/core/service-state.ts. */
export type RecordedState = Record<string, string>

export function serviceStateRepository (connection: Connection, write: Write) {
  return {
    async read (): Promise<RecordedState> {
      return Object.fromEntries(connection.select().from(serviceState).all().map(({ name, value }) => [name, value]))
    },

    /** Sets values, and forgets those that are undefined. */
    record: (state: Record<string, string | undefined>, now: number) => write(() => {
      for (const [name, value] of Object.entries(state)) {
        connection.delete(serviceState).where(eq(serviceState.name, name)).run()
        if (value !== undefined) connection.insert(serviceState).values({ name, value, recordedAt: now }).run()
      }
    })
  }
}
