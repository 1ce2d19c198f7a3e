import type { News } from './news.ts'

/** SQL that an engine prepares once. */
export interface Compiled {
  readonly sql: string
  /** Ends or revokes something: its operation is answered when no process lets that in any more. */
  readonly revokes: boolean
  /** Changes the signing keys: answered when every process knows them. */
  readonly changesKeys: boolean
}

/** A compiled statement, the way from named values to its parameters, and from its columns to a row. */
export interface Statement<Values, Row> extends Compiled {
  readonly toParameters: (values: Values) => unknown[]
  readonly toRow: (columns: unknown[]) => Row
}

/** A statement with its parameters, and what is wanted of it: its rows, how many rows it changed, or nothing. */
export interface Step {
  readonly statement: Compiled
  readonly parameters: unknown[]
  readonly wants: 'rows' | 'changes' | 'nothing'
}

/**
 * The steps of a transaction, done whole or not at all. It yields statements and is given their answers: at once by SQLite,
 * later by PostgreSQL. It must tolerate being run twice, and does not go on after an error.
 */
export type Operation<T> = Generator<Step, T, unknown>

/** Gives the rows of a statement. */
export function * query<Values, Row> (statement: Statement<Values, Row>, values: Values): Operation<Row[]> {
  const rows = (yield { statement, parameters: statement.toParameters(values), wants: 'rows' }) as unknown[][] // as it wants
  return rows.map(statement.toRow)
}

/** Gives the first row of a statement, if there is one. */
export function * queryOne<Values, Row> (statement: Statement<Values, Row>, values: Values): Operation<Row | undefined> {
  const [row] = yield * query(statement, values)
  return row
}

/** Runs a statement and gives the number of rows that it changed. */
export function * change<Values> (statement: Statement<Values, unknown>, values: Values): Operation<number> {
  return (yield { statement, parameters: statement.toParameters(values), wants: 'changes' }) as number // as it wants
}

/** Runs a statement without waiting for it: its failure shows at the commit, and undoes the operation. */
export function * execute<Values> (statement: Statement<Values, unknown>, values: Values): Operation<void> {
  yield { statement, parameters: statement.toParameters(values), wants: 'nothing' }
}

/** Called after every commit, with its milliseconds and the number of operations that shared it. */
export type CommitObserver = (milliseconds: number, operations: number) => void

/** Runs an operation, and resolves when it is durable; of what revokes, when no process lets that in any more. */
export type Write = <T>(operation: () => Operation<T>) => Promise<T>

/**
 * A database. Its functions reject with `code: 'database_unavailable'` when it does not answer or takes no writes, and with
 * `code: 'taken'` and the name of the `constraint` when a unique value is there already.
 */
export interface Engine {
  read: <Values, Row>(statement: Statement<Values, Row>, values: Values) => Promise<Row[]>
  write: Write
  /** For counters: they survive the process, but the last of them not always a power cut. */
  writeUnsynced: Write
  news: News
  /** Resolves when the database takes writes at this moment. */
  probe: (now: number) => Promise<void>
  observeCommits: (observer: CommitObserver) => void
  close: () => Promise<void>
}
