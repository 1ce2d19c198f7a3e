import type Client from 'better-sqlite3'
import type { Compiled, Operation, Step } from '../engine.ts'

/** Runs one step, and gives its rows; none where none are wanted. */
export type Run = (step: Step) => unknown[][]

/** Prepares each statement once, and runs steps on one connection. */
export function stepRunner (client: Client.Database) {
  const prepared = new WeakMap<Compiled, Client.Statement>()

  function prepare (statement: Compiled): Client.Statement {
    const known = prepared.get(statement)
    if (known) return known
    const made = client.prepare(statement.sql)
    if (made.reader) made.raw()
    prepared.set(statement, made)
    return made
  }

  function read ({ statement, parameters }: Step): unknown[][] {
    return prepare(statement).all(parameters) as unknown[][] // raw
  }

  /** Steps through an operation, inside the writer's transaction. */
  function runAtOnce<T> (operation: Operation<T>): T {
    let next = operation.next()
    while (!next.done) {
      const { value } = next
      const answer = value.wants === 'rows' ? read(value) : prepare(value.statement).run(value.parameters).changes
      next = operation.next(answer)
    }
    return next.value
  }

  return { read, runAtOnce }
}
