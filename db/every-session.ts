import { query } from './engine.ts'
import { sessionEnder } from './end-sessions.ts'
import type { AuditEntry, AuditedWrite } from './audit-entry.ts'
import type { Operation } from './engine.ts'
import type { Store } from './store.ts'

/** Sessions that one transaction ends. It keeps other writers waiting for some 20 ms. */
const SLICE = 500

/** The number of sessions that a transaction ended, and the last of them; undefined when there are no more. */
interface EndedSlice { count: number, last?: string }

export function everySessionRepository (store: Store, write: AuditedWrite) {
  const end = sessionEnder(store)
  const slice = store.text<[after: string], [id: string]>(`select id from sessions where id > ? order by id limit ${SLICE}`)

  function * endSlice (after: string): Operation<EndedSlice> {
    const ids = yield * query(slice, [after])
    const [last] = ids.at(-1) ?? []
    if (last === undefined) return { count: 0 }
    const { length: count } = yield * end.range(after, last)
    return { count, ...ids.length === SLICE && { last } }
  }

  return {
    /**
     * Ends all sessions, in many transactions, each with its entry; one that begins meanwhile may end, too. Gives how many
     * ended.
     */
    async end (entry?: AuditEntry<EndedSlice>): Promise<number> {
      let ended = 0
      for (let after: string | undefined = ''; after !== undefined;) {
        const from: string = after
        const { count, last }: EndedSlice = await write(() => endSlice(from), entry)
        ended += count
        after = last
      }
      return ended
    }
  }
}
