import { change, execute } from '../engine.ts'
import { createInbox } from './audit-inbox.ts'
import { NOTIFY } from './channel.ts'
import { createPool } from './clients.ts'
import { postgresDialect } from './dialect.ts'
import { migrate } from './migrate.ts'
import { postgresNews } from './news.ts'
import { transactions } from './transactions.ts'
import { parsePostgresUrl } from './url.ts'
import type { NewsOptions } from '../news-events.ts'
import type { Store } from '../store.ts'
import type { Changes } from './transactions.ts'

export interface PostgresOptions extends NewsOptions {
  isMaker: boolean
  /** The most connections for operations; one more is for news. */
  connections: number
}

const DEFAULTS: PostgresOptions = { isMaker: true, connections: 10, leaseMilliseconds: 5000, isBlindAllowed: false, onEvent: () => {} }

const { text } = postgresDialect

const notify = text<[]>('', NOTIFY)
const head = text<[], [number]>('', "select value from heads where name = 'revocations'")
/** A change of keys takes a number among the revocations: so instances say that they know it, too. */
const countKeys = text<[]>('', `with head as (update heads set value = value + 1 where name = 'revocations' returning value)
  update heads set value = head.value from head where name = 'keys'`)
const skip = text<[sequence: number]>('', "update heads set value = greatest(value, ?) where name = 'revocations'")
const holdHead = text<[], [number]>('', "select value from heads where name = 'revocations' for share")
/** Divides by zero when somebody else has revoked it: so it needs no answer before the commit (errors.ts). */
const failIfRevoked = text<[sid: string, jti: string]>('', `select 1 / (case when exists (
  select from revocations where revoked_id in (?, ?) and xmin <> pg_current_xact_id()::xid) then 0 else 1 end)`)

const countInstances = text<[], [count: number]>('', 'select count(*) from instances')
const countInbox = text<[], [count: number]>('', 'select count(*) from audit_inbox')

const PRUNED_AT_ONCE = 5000
const prune = text<[now: number, now: number]>('', `delete from sessions where id in (
  select id from sessions where expires_at <= ? and access_expires_at <= ? limit ${PRUNED_AT_ONCE} for update skip locked)`)

function announce ({ revokes, changesKeys }: Changes) {
  if (!revokes && !changesKeys) return []
  return [...changesKeys ? [countKeys] : [], notify, head]
}

/**
 * Opens a PostgreSQL database, and brings its schema up to date. With `isMaker: false` that must be there and up to date.
 * @throws the server's or the system's error, or `wrong_version` or `wrong_setting` with a sentence; none has the URL in it
 */
export async function openPostgres (url: string, given: Partial<PostgresOptions>): Promise<Store> {
  const { isMaker, connections, ...options } = { ...DEFAULTS, ...given }
  const config = parsePostgresUrl(url)
  await migrate(config, { isMaker })

  const { news, isHeard, settle, close } = postgresNews(config, () => read(notify, []), options)
  const { run, runUnsynced, read, observeCommits, counts, close: closePool } =
    transactions(() => createPool(config, connections), announce, isHeard)

  const write: Store['write'] = async (operation) => {
    const { value, changes, head } = await run(operation)
    if (changes.revokes || changes.changesKeys) await settle(head)
    return value
  }
  const inbox = createInbox(write)
  let closing: Promise<void> | undefined

  async function closeAll () {
    inbox.close()
    await close()
    await closePool()
  }

  return {
    ...postgresDialect,
    read,
    write,
    writeUnsynced: async (operation) => (await runUnsynced(operation)).value,
    news,
    async probe () {
      if (news.revision() === undefined) await news.freshen()
    },
    appendEvent: inbox.append,
    chainEvents: inbox.chainAll,
    * failIfRevoked (sid, jti) {
      yield * execute(holdHead, [])
      yield * execute(failIfRevoked, [sid, jti])
    },
    * skipSequence (sequence) { yield * execute(skip, [sequence]) },
    async pruneSessions (now) {
      let pruned = 0
      for (let some = PRUNED_AT_ONCE; some === PRUNED_AT_ONCE; pruned += some) some = await write(() => change(prune, [now, now]))
      return pruned
    },
    observeCommits,
    load: {
      connections: counts,
      instances: async () => (await read(countInstances, []))[0]![0], // there is a row, whatever is counted
      inbox: async () => (await read(countInbox, []))[0]![0] // the same
    },
    close () {
      closing ??= closeAll()
      return closing
    }
  }
}
