import type { CopyMark } from './copy-mark.ts'
import type { CopyTable, Range, Row } from './copy-tables.ts'

/** A database that is read while a copy is made or compared. */
export interface CopySide {
  /** A page of rows, in key order. */
  read: (table: CopyTable, range: Range) => Promise<Row[]>
  /** Gives up what it holds. What is not complete stays as it is. */
  close: () => Promise<void>
}

/** The database that is copied, as it is at one moment. */
export interface CopySource extends CopySide {
  /** Tells it from other sources. */
  name: string
  countRows: () => Promise<number>
  /** Processes of the service that are registered there, and may go on writing. */
  countInstances: () => Promise<number>
  /** The last sequence that a revocation was given. */
  lastSequence: () => Promise<number>
  /** Events of the audit log, as JSON, that have no place in the chain yet. */
  waitingEvents: () => Promise<string[]>
}

/** The database that is made. */
export interface CopyTarget extends CopySide {
  /** How far an earlier copy came that was interrupted; undefined where there is none. */
  mark: CopyMark | undefined
  /** Makes the schema where there is none, forgets all rows, and sets the mark and the anchor of the audit log. */
  begin: (mark: CopyMark, anchor: Row) => Promise<void>
  /** Writes a page of rows and moves the mark on, both or neither. */
  write: (table: CopyTable, rows: Row[], from: CopyMark, to: CopyMark) => Promise<void>
  /** Removes the mark. What was copied is durable then. */
  finish: (last: CopyMark, sequence: number, waitingEvents: string[]) => Promise<void>
}
