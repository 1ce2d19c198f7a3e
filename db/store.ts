import { Param, Placeholder, is } from './drizzle.ts'
import type { Column, Placeholder as PlaceholderType, SQL } from 'drizzle-orm'
import type { BaseSQLiteDatabase } from 'drizzle-orm/sqlite-core'
import type { Engine, Operation, Statement } from './engine.ts'
import type { NewAuditEvent, Tables } from './schema/index.ts'

/** An engine with its tables, what makes statements for it, and the operations that each engine does in its own way. */
export interface Store extends Engine, Dialect {
  /** Writes an event of the audit log, inside an operation. */
  appendEvent: (event: NewAuditEvent) => Operation<void>
  /** Resolves when every event that was written is in its place in the chain. */
  chainEvents: () => Promise<void>
  /**
   * Fails the operation, with `token_revoked`, when somebody else has revoked this session or token, and keeps others from it
   * until the commit. Comes last. SQLite has one writer, and needs it not.
   */
  failIfRevoked: (sid: string, jti: string) => Operation<void>
  /** Lets the next revocation have at least this sequence. */
  skipSequence: (sequence: number) => Operation<void>
  /** On PostgreSQL alone. */
  load?: DatabaseLoad
  /** Forgets the sessions that are over, and gives their number. */
  pruneSessions: (now: number) => Promise<number>
}

/** How busy a PostgreSQL database is, for the metrics. */
export interface DatabaseLoad {
  /** The connections for operations that are in use, and the operations that wait for one. */
  connections: () => { used: number, waiting: number }
  /** The instances in the registry. */
  instances: () => Promise<number>
  /** The audit events that wait for their place in the chain. */
  inbox: () => Promise<number>
}

/** The part of a store that needs no database. */
export interface Dialect {
  name: 'sqlite' | 'postgres'
  tables: Tables
  /** The condition of active administrators, as the index has it that finds them. */
  isActiveAdmin: SQL
  /** Drizzle, as a compiler. It has no connection. */
  build: BaseSQLiteDatabase<'sync', unknown>
  /** Waits until nobody else has this lock, and holds it until the commit. SQLite has one writer, and does nothing. */
  lockHead: (name: 'status' | 'keys') => Operation<void>
  /** Locks the rows of a statement until the commit. SQLite does nothing, for the same reason. */
  lockRows: (statement: Statement<NamedValues, unknown>) => Operation<void>
  /** A statement of Drizzle's, with a value for each of its placeholders. */
  compile: <Rows>(builder: Builder<Rows>, options?: StatementOptions) => Statement<NamedValues, RowOf<Rows>>
  /** A statement in SQL that both engines take, `?` for each value; where they differ it is there twice. */
  text: <Values extends unknown[], Row extends unknown[] = never>(
    sqlite: string, postgres?: string, options?: StatementOptions
  ) => Statement<Values, Row>
}

export type NamedValues = Record<string, unknown>

interface StatementOptions {
  /** Keeps others from changing the rows until the operation is done. SQLite has one writer, and needs no word for it. */
  locks?: boolean
  revokes?: boolean
  changesKeys?: boolean
}

interface Builder<Rows> {
  toSQL: () => { sql: string, params: unknown[] }
  all: () => Rows
}

type RowOf<Rows> = Rows extends Array<infer Row> ? Row : never

/** The fields of a builder: an object for `select`, a list for `returning`. Drizzle keeps them to itself. */
interface Inside { config: { fields?: Record<string, Column>, returning?: Array<{ path: string[], field: Column }> } }

/** Builds the functions that make statements: `lock` is added to those that lock, and `toText` writes the placeholders. */
export function statementMakers (lock: string, toText: (sql: string) => string): Pick<Dialect, 'compile' | 'text'> {
  return {
    compile (builder, { locks = false, revokes = false, changesKeys = false } = {}) {
      const { sql, params } = builder.toSQL()
      const encoders = params.map(toEncoder)
      const decoders = fieldsOf(builder as unknown as Inside).map(toDecoder) // it is there, and has no type
      return {
        sql: locks ? sql + lock : sql,
        revokes,
        changesKeys,
        toParameters: (values) => encoders.map((encode) => encode(values)),
        toRow: (columns) => Object.fromEntries(decoders.map(([name, decode], i) => [name, decode(columns[i])])) as never // as Drizzle says
      }
    },

    text: (sqlite, postgres = sqlite, { locks = false, revokes = false, changesKeys = false } = {}) => ({
      sql: toText(lock ? postgres : sqlite) + (locks ? lock : ''),
      revokes,
      changesKeys,
      toParameters: (values) => values,
      toRow: (columns) => columns as never // as the caller says
    })
  }
}

function fieldsOf ({ config: { fields, returning } }: Inside): Array<[name: string, field: Column]> {
  if (returning) return returning.map(({ path, field }) => [path.join('.'), field])
  return Object.entries(fields ?? {})
}

function toEncoder (parameter: unknown): (values: NamedValues) => unknown {
  if (is(parameter, Placeholder)) return (values) => values[parameter.name]
  if (!is(parameter, Param)) return () => parameter
  const { encoder } = parameter
  const { name } = parameter.value as PlaceholderType // a value would have been encoded
  return (values) => {
    const given = values[name] ?? null
    return given === null ? null : encoder.mapToDriverValue(given)
  }
}

/** Statements that give anything but columns are written as `text`. */
function toDecoder ([name, field]: [string, Column]): [name: string, decode: (value: unknown) => unknown] {
  return [name, (value) => value === null ? null : field.mapFromDriverValue(value)]
}
