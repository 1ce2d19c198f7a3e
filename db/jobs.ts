import { sql } from './drizzle.ts'
import { query } from './engine.ts'
import type { Write } from './engine.ts'
import type { Store } from './store.ts'

export function jobsRepository ({ build, compile, tables: { jobs } }: Store, write: Write) {
  const [name, dueAt, now, latest] = [sql.placeholder('name'), sql.placeholder('dueAt'), sql.placeholder('now'), sql.placeholder('latest')]
  // A time that is further ahead than one interval was written before the clock was set back.
  const moveOn = compile(build.insert(jobs).values({ name, dueAt }).onConflictDoUpdate({
    target: jobs.name,
    set: { dueAt: sql`excluded.due_at` },
    setWhere: sql`${jobs.dueAt} <= ${now} or ${jobs.dueAt} > ${latest}`
  }).returning({ name: jobs.name }))

  return {
    /** Takes a job that is due, and moves its time on by an interval: of many processes one is given true. */
    claim: (name: string, intervalMilliseconds: number, now: number) => write(function * () {
      const dueAt = now + intervalMilliseconds
      return (yield * query(moveOn, { name, dueAt, now, latest: dueAt })).length === 1
    })
  }
}
