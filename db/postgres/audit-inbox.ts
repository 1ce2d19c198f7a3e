import { execute, query } from '../engine.ts'
import { auditChain } from '../audit-chain.ts'
import { postgresDialect } from './dialect.ts'
import type { Operation, Write } from '../engine.ts'
import type { NewAuditEvent } from '../schema/index.ts'

const DELAY_MILLISECONDS = 250
const BATCH = 500

const LOCK = "pg_advisory_xact_lock(hashtextextended('postern audit ' || current_schema(), 0))"

/**
 * Events wait in an inbox, where they are durable with their operation, until one process chains them. Chained in the operation
 * itself, every write of every instance would wait for the one before it.
 */
export function createInbox (write: Write) {
  const { text } = postgresDialect
  const put = text<[event: string]>('', 'insert into audit_inbox (event) values (?)')
  const lock = text<[], [void]>('', `select ${LOCK}`)
  const tryLock = text<[], [isLocked: boolean]>('', `select ${LOCK.replace('pg_', 'pg_try_')}`)
  const take = text<[], [id: number, event: string]>('', `select id, event from audit_inbox order by id limit ${BATCH}`)
  const remove = text<[id: number]>('', 'delete from audit_inbox where id = ?')
  const chain = auditChain(postgresDialect)
  let timer: NodeJS.Timeout | undefined

  /** Chains a batch, and gives how many events were in it. */
  function * chainSome (): Operation<number> {
    const rows = yield * query(take, [])
    if (rows.length === 0) return 0
    yield * chain(rows.map(([, event]) => JSON.parse(event) as NewAuditEvent)) // `append` wrote it
    for (const [id] of rows) yield * execute(remove, [id])
    return rows.length
  }

  function * chainIfNobodyDoes (): Operation<number> {
    const [[isLocked] = [false]] = yield * query(tryLock, [])
    return isLocked ? yield * chainSome() : 0
  }

  function * chainInTurn (): Operation<number> {
    yield * query(lock, [])
    return yield * chainSome()
  }

  async function chainSoon () {
    timer = undefined
    try {
      while (await write(chainIfNobodyDoes) === BATCH);
    } catch {
      schedule() // the events stay where they are
    }
  }

  function schedule () {
    timer ??= setTimeout(chainSoon, DELAY_MILLISECONDS).unref()
  }

  return {
    * append (event: NewAuditEvent): Operation<void> {
      yield * execute(put, [toText(event)])
      schedule()
    },
    async chainAll () {
      while (await write(chainInTurn) === BATCH);
    },
    close () { clearTimeout(timer) }
  }
}

/** As JSON that will be stored as it is: what cannot be must not wait in the inbox, and keep all others waiting. */
function toText (event: NewAuditEvent): string {
  const text = JSON.stringify(event, (_key, value: unknown) => typeof value === 'string' ? value.toWellFormed() : value)
  if (text.includes('\\u0000')) throw Object.assign(new Error('An event has the character U+0000.'), { code: 'invalid_text' })
  return text
}
