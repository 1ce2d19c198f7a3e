import { asc, eq, sql } from './drizzle.ts'
import { execute } from './engine.ts'
import type { Write } from './engine.ts'
import type { Store } from './store.ts'

/** Names and values; see plugins/core/service-state.ts. */
export type RecordedState = Record<string, string>

export function serviceStateRepository ({ build, compile, read, tables: { serviceState } }: Store, write: Write) {
  const [name, value, recordedAt] = [sql.placeholder('name'), sql.placeholder('value'), sql.placeholder('recordedAt')]
  const all = compile(build.select().from(serviceState).orderBy(asc(serviceState.name)))
  const forget = compile(build.delete(serviceState).where(eq(serviceState.name, name)))
  const set = compile(build.insert(serviceState).values({ name, value, recordedAt }).onConflictDoUpdate({
    target: serviceState.name,
    set: { value: sql`excluded.value`, recordedAt: sql`excluded.recorded_at` }
  }))

  return {
    async read (): Promise<RecordedState> {
      return Object.fromEntries((await read(all, {})).map(({ name, value }) => [name, value]))
    },

    /** Sets values, and forgets those that are undefined. */
    record: (state: Record<string, string | undefined>, now: number) => write(function * () {
      const entries = Object.entries(state).toSorted(([a], [b]) => a < b ? -1 : 1) // two processes lock rows in one order
      for (const [name, value] of entries) {
        if (value === undefined) yield * execute(forget, { name })
        else yield * execute(set, { name, value, recordedAt: now })
      }
    })
  }
}
