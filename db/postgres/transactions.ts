import { isConflict, isConnectionLost, toEngineError } from './errors.ts'
import { sendTogether, statementSender } from './statements.ts'
import type { ClientBase, Pool, PoolClient, QueryArrayResult } from 'pg'
import type { CommitObserver, Operation, Statement } from '../engine.ts'

/** In one message with the first statement. A process that is stopped lets go of its locks after two seconds. */
const BEGIN = "begin; set local lock_timeout = '1s'; set local idle_in_transaction_session_timeout = '2s'"
const BEGIN_UNSYNCED = `${BEGIN}; set local synchronous_commit = off`

const MOST_WAITING = 1000
const MOST_ATTEMPTS = 3

/** What an operation changed that other processes must know before it is answered. */
export interface Changes { revokes: boolean, changesKeys: boolean }

/** An operation that was committed; `head` is the number of the last revocation, read in the same transaction if it revokes. */
export interface Committed<T> { value: T, changes: Changes, head: number }

/** Statements that tell of changes, sent with the last of the operation; the last of them gives the head. None for other changes. */
export type Announce = (changes: Changes) => Array<Statement<[], unknown>>

/**
 * Runs operations, each in a transaction and on a connection of its own. Statements are sent without waiting for those before
 * them, as far as the operation does not ask for rows.
 */
export function transactions (makePool: () => Pool, announce: Announce, isNamed: () => boolean) {
  let pool = makePool()
  let refusesUntil = 0
  let observe: CommitObserver | undefined
  const send = statementSender(isNamed)

  /** A lost connection says that the server restarts, or that another one is the primary now: all connections go. */
  function dropPool () {
    const old = pool
    pool = makePool()
    refusesUntil = performance.now() + 100 + Math.random() * 100 // so often at the most is the server asked for a connection
    old.end().catch(() => {})
  }

  async function connect (): Promise<PoolClient> {
    if (pool.waitingCount >= MOST_WAITING) throw unavailable('Too many operations wait for a connection.')
    if (performance.now() < refusesUntil) throw unavailable('The server does not answer.')
    try {
      return await pool.connect()
    } catch (error) {
      if (isConnectionLost(error) && !(error as Error).message.startsWith('timeout exceeded')) dropPool()
      throw error
    }
  }

  async function onConnection<T> (run: (client: PoolClient) => Promise<T>): Promise<T> {
    const from = pool
    const client = await connect()
    try {
      const value = await run(client)
      client.release()
      return value
    } catch (error) {
      client.release(isConnectionLost(error))
      if (isConnectionLost(error) && from === pool) dropPool()
      throw error
    }
  }

  /** Runs a transaction once. Its first error is the one that counts: later ones only say that it has failed. */
  async function runOnce<T> (client: ClientBase, begin: string, operation: Operation<T>): Promise<Committed<T>> {
    const sent: Array<Promise<QueryArrayResult>> = []
    const push = (answer: Promise<QueryArrayResult>) => {
      answer.catch(() => {}) // it is awaited below
      sent.push(answer)
      return answer
    }
    const changes = { revokes: false, changesKeys: false }
    try {
      sendTogether(client)
      push(client.query({ text: begin, rowMode: 'array' }))
      let next = operation.next()
      while (!next.done) {
        const { statement, parameters, wants } = next.value
        changes.revokes ||= statement.revokes
        changes.changesKeys ||= statement.changesKeys
        const answer = push(send(client, statement, parameters))
        if (wants === 'nothing') {
          next = operation.next()
        } else {
          const result = await answer
          sendTogether(client)
          next = operation.next(toAnswer(result, wants))
        }
      }
      const announcements = announce(changes)
      for (const statement of announcements) push(send(client, statement, []))
      const begun = performance.now()
      const committed = push(client.query({ text: 'commit', rowMode: 'array' }))
      const results = await Promise.all(sent)
      if ((await committed).command !== 'COMMIT') throw new Error('The transaction was undone.') // it answers ROLLBACK when it failed
      observe?.(performance.now() - begun, 1)
      const head = announcements.length > 0 ? Number(results.at(-2)!.rows[0]![0]) : 0 // the last of them gives it, before the commit
      return { value: next.value, changes, head }
    } catch (error) {
      const first = (await Promise.allSettled(sent)).find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined
      const cause = first?.reason ?? error
      if (!isConnectionLost(cause)) await client.query('rollback').catch(() => {}) // the pool drops a connection that is lost
      throw cause
    }
  }

  async function run<T> (begin: string, operation: () => Operation<T>): Promise<Committed<T>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await onConnection((client) => runOnce(client, begin, operation()))
      } catch (error) {
        if (!isConflict(error) || attempt === MOST_ATTEMPTS) throw toEngineError(error)
      }
    }
  }

  return {
    run: <T>(operation: () => Operation<T>) => run(BEGIN, operation),
    runUnsynced: <T>(operation: () => Operation<T>) => run(BEGIN_UNSYNCED, operation),

    async read<Values, Row> (statement: Statement<Values, Row>, values: Values): Promise<Row[]> {
      try {
        const { rows } = await onConnection((client) => send(client, statement, statement.toParameters(values)))
        return rows.map(statement.toRow)
      } catch (error) {
        throw toEngineError(error)
      }
    },

    observeCommits (observer: CommitObserver) { observe = observer },
    counts: () => ({ used: pool.totalCount - pool.idleCount, waiting: pool.waitingCount }),
    dropPool,
    close: () => pool.end()
  }
}

function toAnswer ({ rows, rowCount }: QueryArrayResult, wants: 'rows' | 'changes') {
  return wants === 'rows' ? rows : rowCount ?? 0
}

function unavailable (message: string): Error {
  return Object.assign(new Error(message), { code: 'database_unavailable' })
}
