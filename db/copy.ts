import { refuseCopy } from './copy-mark.ts'
import { ANCHOR_TABLE, COPIED_TABLES, PAGE_ROWS, keyOf } from './copy-tables.ts'
import type { CopyMark } from './copy-mark.ts'
import type { CopySide, CopySource, CopyTarget } from './copy-sides.ts'
import type { Cell, CopyTable, Range, Row } from './copy-tables.ts'

/** Called after every page with the rows that are done, and how many there are. */
export type CopyProgress = (step: 'copied' | 'compared', rows: number, all: number) => void

/** Where a copy goes on, and the rows that are done. */
interface Start { mark: CopyMark, done: number }

interface TableCopy { table: CopyTable, mark: CopyMark, onRows: (rows: number) => void }

/**
 * Copies all rows, or those that are missing after an interruption, and reads both databases to compare them. Gives the number
 * of rows. An interrupted copy whose source has changed since begins anew.
 * @throws Error with `code: 'refused'` and a sentence when they differ; the target stays a copy that is not complete
 */
export async function copyAll (source: CopySource, target: CopyTarget, onProgress: CopyProgress = () => {}): Promise<number> {
  const all = await source.countRows()
  let { mark, done } = await goOn(source, target) ?? await begin(source, target)
  const onRows = (rows: number) => {
    done += rows
    onProgress('copied', done, all)
  }
  for (const table of COPIED_TABLES.slice(Math.max(0, indexOf(mark)))) mark = await copyTable(source, target, { table, mark, onRows })
  await compareAll(source, target, (rows) => onProgress('compared', rows, all))
  await target.finish(mark, await source.lastSequence(), await source.waitingEvents())
  return all
}

async function begin (source: CopySource, target: CopyTarget): Promise<Start> {
  const mark = { source: source.name }
  const [anchor] = await source.read(ANCHOR_TABLE, {})
  await target.begin(mark, anchor!) // the migration made it, and triggers keep it
  return { mark, done: 0 }
}

/** The mark of an interrupted copy, if its rows are still those of the source; undefined when it must begin. */
async function goOn (source: CopySource, target: CopyTarget): Promise<Start | undefined> {
  const { mark } = target
  if (!mark) return undefined
  let done = 0
  for (const table of [ANCHOR_TABLE, ...COPIED_TABLES.slice(0, indexOf(mark) + 1)]) {
    const same = await compare(source, target, table, table.name === mark.table ? { upTo: mark.after } : {})
    if (same === undefined) return undefined
    if (table !== ANCHOR_TABLE) done += same
  }
  return { mark, done }
}

/** Copies what is missing of a table, and gives the new mark. The next page is read while one is written. */
async function copyTable (source: CopySource, target: CopyTarget, { table, mark, onRows }: TableCopy): Promise<CopyMark> {
  const after = table.name === mark.table ? mark.after : undefined
  let last = mark
  let writing = Promise.resolve()
  for await (const rows of pagesOf(source, table, { after })) {
    await writing
    const next = { ...mark, table: table.name, after: keyOf(table, rows.at(-1)!) as Array<string | number> } // no key is of bytes
    writing = target.write(table, rows, last, next)
    writing.catch(() => {}) // it is awaited below
    last = next
    onRows(rows.length)
  }
  await writing
  return last
}

function indexOf (mark: CopyMark): number {
  return COPIED_TABLES.findIndex(({ name }) => name === mark.table)
}

async function compareAll (source: CopySide, target: CopySide, onProgress: (rows: number) => void) {
  let rows = 0
  for (const table of [...COPIED_TABLES, ANCHOR_TABLE]) {
    const same = await compare(source, target, table, {}, (some) => onProgress(rows + some))
    if (same === undefined) refuseCopy(`The copy is not done: "${table.name}" differs from its source. Run the command again.`)
    rows += same
  }
}

/** The number of rows in a range when they are the same on both sides; undefined when they are not. */
async function compare (source: CopySide, target: CopySide, table: CopyTable, range: Range, onProgress = (_rows: number) => {}) {
  const copies = pagesOf(target, table, range)
  let rows = 0
  for await (const page of pagesOf(source, table, range)) {
    const { value: copy = [] } = await copies.next()
    if (!isSame(page, copy)) return undefined
    rows += page.length
    onProgress(rows)
  }
  const { value: more = [] } = await copies.next()
  return more.length === 0 ? rows : undefined
}

/** Pages of rows in key order; the next one is on its way while one is used. */
async function * pagesOf (side: CopySide, table: CopyTable, { after, upTo }: Range): AsyncGenerator<Row[], undefined> {
  let reading = side.read(table, { after, upTo })
  for (;;) {
    const rows = await reading
    if (rows.length === 0) return undefined
    const last = keyOf(table, rows.at(-1)!) // it has one
    reading = rows.length < PAGE_ROWS ? Promise.resolve([]) : side.read(table, { after: last, upTo })
    reading.catch(() => {}) // it is awaited above, if anybody asks for more
    yield rows
  }
}

function isSame (rows: Row[], others: Row[]): boolean {
  return rows.length === others.length && rows.every((row, i) => isSameRow(row, others[i]!)) // there are as many
}

function isSameRow (row: Row, other: Row): boolean {
  return row.every((cell, i) => isSameCell(cell, other[i]!)) // they are of one table
}

function isSameCell (cell: Cell, other: Cell): boolean {
  return cell === other || (Buffer.isBuffer(cell) && Buffer.isBuffer(other) && cell.equals(other))
}
