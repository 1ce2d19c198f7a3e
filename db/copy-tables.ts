import { MARK_NAME } from './copy-mark.ts'
import { getTableColumns, getTableConfig } from './drizzle.ts'
import { tables } from './sqlite/tables.ts'
import type { SQLiteTable } from 'drizzle-orm/sqlite-core'

export type Cell = string | number | null | Buffer

/** The columns of a row, in the table's order. A flag is 0 or 1, JSON is text. */
export type Row = Cell[]

/** Rows between two keys, without the first and with the last. */
export interface Range { after?: Row, upTo?: Row }

/** A table as both engines have it. */
export interface CopyTable {
  name: string
  columns: CopyColumn[]
  /** The numbers of the columns that are its primary key. */
  key: number[]
  /** Tells the rows that are copied, when they are not all. */
  condition: string
}

export interface CopyColumn { name: string, kind: 'text' | 'number' | 'flag' | 'bytes' }

export const PAGE_ROWS = 2000

const KINDS: Record<string, CopyColumn['kind']> = { string: 'text', json: 'text', number: 'number', boolean: 'flag', buffer: 'bytes' }

const { auditAnchor, probe: _, ...copied } = tables

/** The tables that are copied page by page, each after those that it refers to. */
export const COPIED_TABLES: CopyTable[] = Object.values(copied).map(toCopyTable)

/** The one row that is there before the events are copied. */
export const ANCHOR_TABLE = toCopyTable(auditAnchor)

function toCopyTable (table: SQLiteTable): CopyTable {
  const { name, primaryKeys: [compound] } = getTableConfig(table)
  const columns = Object.values(getTableColumns(table))
  const key = compound?.columns ?? columns.filter(({ primary }) => primary)
  return {
    name,
    columns: columns.map(({ name, dataType }) => ({ name: toSnakeCase(name), kind: KINDS[dataType]! })), // each type has one
    key: key.map((column) => columns.findIndex(({ name }) => name === column.name)),
    condition: table === tables.serviceState ? `name <> '${MARK_NAME}'` : 'true'
  }
}

/** As Drizzle's `casing: 'snake_case'` does. */
function toSnakeCase (name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The key of a row. */
export function keyOf ({ key }: CopyTable, row: Row): Row {
  return key.map((i) => row[i]!) // no column of a primary key is null
}

/** The query of a page, in key order, with a `?` for each parameter; `toCell` gives the expression of a column. */
export function pageQuery ({ name, columns, key, condition }: CopyTable, { after, upTo }: Range, toCell = quote) {
  const keys = key.map((i) => quote(columns[i]!)).join(', ') // its numbers are of its columns
  const marks = key.map(() => '?').join(', ')
  const conditions = [condition, ...after ? [`(${keys}) > (${marks})`] : [], ...upTo ? [`(${keys}) <= (${marks})`] : []]
  return {
    sql: `select ${columns.map(toCell).join(', ')} from ${name} where ${conditions.join(' and ')} order by ${keys} limit ${PAGE_ROWS}`,
    parameters: [...after ?? [], ...upTo ?? []]
  }
}

export function quote ({ name }: CopyColumn): string {
  return `"${name}"`
}

/** The query of the number of rows of all tables that are copied. */
export const COUNT_ROWS = `select ${COPIED_TABLES.map(({ name }) => `(select count(*) from ${name})`).join(' + ')} as count`
