import { and, asc, desc, eq, gte, lt, sql } from './drizzle.ts'
import { change, execute, queryOne } from './engine.ts'
import type { AuditedWrite } from './audit-entry.ts'
import type { Operation } from './engine.ts'
import type { Store } from './store.ts'

/** Events that one transaction forgets. */
const MOST = 1000

/** Shortens the log at its beginning. */
export function auditPruning ({ build, chainEvents, compile, tables: { auditAnchor, auditEvents } }: Store, write: AuditedWrite) {
  const { sequence } = auditEvents
  const [end, before] = [sql.placeholder('end'), sql.placeholder('before')]
  const first = compile(build.select({ sequence: auditAnchor.sequence }).from(auditAnchor), { locks: true })
  const last = compile(build.select({ sequence }).from(auditEvents).orderBy(desc(sequence)).limit(1))
  const firstYoung = compile(build.select({ sequence }).from(auditEvents)
    .where(and(gte(auditEvents.at, before), lt(sequence, end))).orderBy(asc(sequence)).limit(1))
  const one = compile(build.select({ sequence, hash: auditEvents.hash }).from(auditEvents).where(eq(sequence, sql.placeholder('sequence'))))
  const moveAnchor = compile(build.update(auditAnchor)
    .set({ sequence: sql`${sql.placeholder('sequence')}`, hash: sql`${sql.placeholder('hash')}` }))
  const deleteBefore = compile(build.delete(auditEvents).where(lt(sequence, end)))

  function * pruneSome (before: number): Operation<number> {
    const from = (yield * queryOne(first, {}))!.sequence // the migration made it, and a trigger keeps it
    const newest = (yield * queryOne(last, {}))?.sequence ?? from
    const end = Math.min(from + MOST, newest) + 1
    const kept = (yield * queryOne(firstYoung, { before, end }))?.sequence ?? end
    const pruned = yield * queryOne(one, { sequence: kept - 1 })
    if (!pruned) return 0
    yield * execute(moveAnchor, pruned)
    return yield * change(deleteBefore, { end: kept })
  }

  return {
    /** Forgets the events from before a time, a thousand in each transaction; the anchor takes the place of the last of them. */
    async prune (before: number) {
      await chainEvents()
      while (await write(() => pruneSome(before)) > 0);
    }
  }
}
