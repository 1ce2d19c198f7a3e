import type { Words } from '../sqlite/words.ts'

export function serviceTables ({ number, table, text }: Words) {
  /** One row, written by the readiness check to see that writing works. */
  const probe = table('probe', {
    id: number().primaryKey(),
    writtenAt: number().notNull()
  })

  /** Statements of the service about itself, for the command line: its settings, and what it has seen. Never a secret. */
  const serviceState = table('service_state', {
    name: text().primaryKey(),
    value: text().notNull(),
    recordedAt: number().notNull()
  })

  /** Recurring work, and when it is due: whichever process moves the time on does it. */
  const jobs = table('jobs', {
    name: text().primaryKey(),
    dueAt: number().notNull()
  })

  return { probe, serviceState, jobs }
}
